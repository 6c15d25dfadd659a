"""What the lab asks of the machine: environment variables, threads, the device, files that are never half-written."""
