"""A PostgreSQL server of one's own on a loopback port, with a user whose password it asks for."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.helpers import free_port, until

PASSWORD = "s3cret-of-the-search"


def programs() -> Path | None:
    """The folder of PostgreSQL's server programs, the newest version's; None where it is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = str(debian[-1]) if debian else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Server:
    """A server that can be stopped and begun again, as one that goes away and comes back."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._data, self.port = folder, folder / "data", free_port()
        self._process: subprocess.Popen | None = None
        # it refuses to run as root
        self._user = "postgres" if hasattr(os, "geteuid") and os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)

    @property
    def url(self) -> str:
        return f"postgresql://lab:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    @property
    def shown(self) -> str:
        """The same as it may be shown."""
        return self.url.replace(f":{PASSWORD}", "")

    def _run(self, name: str, *arguments: str) -> subprocess.Popen:
        place = programs()
        assert place is not None
        log = (self._folder / "log").open("ab")
        return subprocess.Popen(
            [str(place / name), *arguments], user=self._user, cwd=self._folder, stdout=log, stderr=log
        )

    def create(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._user:
            shutil.chown(password, self._user)
        made = self._run(
            "initdb", "-D", str(self._data), "-U", "lab", f"--pwfile={password}", "--auth=scram-sha-256", "--no-sync"
        )
        assert made.wait() == 0, (self._folder / "log").read_text()

    def start(self) -> None:
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        self._process = self._run("postgres", "-D", str(self._data), *settings)
        until(self._answers)

    def _answers(self) -> bool:
        import psycopg

        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=2):
            return True
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # at once, as when a machine goes down
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def postgresql_server() -> Iterator[Server]:
    """Runs until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))  # pytest's folders are closed to other users
    running = Server(folder)
    try:
        running.create()
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)
