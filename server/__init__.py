"""HTTP routes beside the pages, in the same process and on the same port. Imports mnist_core, never Streamlit or ui."""
