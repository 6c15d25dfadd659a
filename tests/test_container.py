"""The files of the container, which nobody builds here: a linter's verdict, and that they fit the lab."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from mnist_core.system.settings import Limits
from tests.helpers import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def test_the_dockerfile_pleases_the_linter():
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    assert hadolint, "hadolint is missing: pip install -r requirements-dev.txt"
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_container_runs_without_rights():
    assert re.search(r"^USER [1-9]\d*$", DOCKERFILE, re.M)
    assert DOCKERFILE.index("COPY . .") < DOCKERFILE.index("\nUSER ")  # the program stays the root's
    lab = COMPOSE["services"]["lab"]
    assert (lab["read_only"], lab["cap_drop"]) == (True, ["ALL"])
    assert "ports" not in lab  # the proxy alone is reached
    assert all("127.0.0.1" in port for port in COMPOSE["services"]["proxy"]["ports"])


def test_the_health_check_asks_below_the_path():
    (check,) = re.findall(r'CMD \["python", "-c", "(.+)"\]', DOCKERFILE)
    base = COMPOSE["services"]["lab"]["environment"]["STREAMLIT_SERVER_BASE_URL_PATH"]
    for given, asked in (
        ({}, "/_stcore/health"),
        ({"STREAMLIT_SERVER_BASE_URL_PATH": base}, f"/{base}/_stcore/health"),
    ):
        code = f"import sys; sys.modules['urllib.request'].urlopen = lambda url, timeout: print(url); {check}"
        program = f"import urllib.request; {code}"
        done = subprocess.run([sys.executable, "-c", program], env=given, capture_output=True, text=True)
        assert done.stdout.strip() == f"http://127.0.0.1:8501{asked}", done.stderr


def test_volumes_and_variables_are_those_of_the_lab():
    lab = COMPOSE["services"]["lab"]
    for volume, variable in (("data:/data", "MNIST_LAB_DATA"), ("runs:/runs", "MNIST_LAB_RUNS")):
        assert volume in lab["volumes"]
        assert f"{variable}={volume.split(':')[1]}" in DOCKERFILE
    own = {name for name in lab["environment"] if name.startswith("MNIST_LAB_")}
    assert own <= {f"MNIST_LAB_{name.upper()}" for name in Limits.model_fields}
    proxied = (ROOT / "Caddyfile").read_text(encoding="utf-8")
    assert f"handle /{lab['environment']['STREAMLIT_SERVER_BASE_URL_PATH']}/* {{" in proxied
    assert "reverse_proxy lab:8501" in proxied


def test_what_the_lab_needs_is_not_left_out_of_the_image():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    names = {line.strip("/") for line in ignored}
    needed = {"app.py", "home.py", "pages", "ui", "server", "mnist_core", "checkpoints", "docs", ".streamlit"}
    assert not needed & names
    assert (ROOT / "docs" / "reproduction.json").is_file()
    assert "docs/*.json" not in names
    assert {"runs", "data", ".git"} <= names
