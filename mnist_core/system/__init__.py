"""The machine: environment variables, threads, the device, atomic files."""
