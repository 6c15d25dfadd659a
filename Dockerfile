# The lab in a container: PyTorch for the CPU, a user without rights, folders for data and runs. docs/operating.md says
# how it is used.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    MNIST_LAB_DATA=/data \
    MNIST_LAB_RUNS=/runs \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_PORT=8501 \
    STREAMLIT_SERVER_HEADLESS=true

RUN useradd --create-home --uid 10001 lab \
    && mkdir /data /runs \
    && chown lab:lab /data /runs

WORKDIR /lab
COPY requirements.txt .
# PyTorch's own index has builds without CUDA, a fifth of the size; pip takes 2.x+cpu before 2.x
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.txt
# it stays the root's: whoever gets into the process cannot change the program
COPY . .

USER 10001
VOLUME ["/data", "/runs"]
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; base = os.environ.get('STREAMLIT_SERVER_BASE_URL_PATH', '').strip('/'); u.urlopen('http://127.0.0.1:8501' + ('/' + base if base else '') + '/_stcore/health', timeout=4)"]
# `command` of compose.yaml adds options of `streamlit run`
ENTRYPOINT ["streamlit", "run", "app.py"]
