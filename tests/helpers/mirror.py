"""A web server of our own on 127.0.0.1 with small files in MNIST's format."""

import gzip
import hashlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from mnist_core.data.packed import Resource

LOCK = ".download.lock"  # empty, and stays on purpose


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


def resource(name: str, packed: bytes) -> Resource:
    return Resource(name, hashlib.md5(packed).hexdigest())


noise = np.random.default_rng(0)


ARRAYS = {
    "train-images-idx3-ubyte": noise.integers(0, 256, (300, 28, 28)),
    "train-labels-idx1-ubyte": noise.integers(0, 10, (300,)),
    "t10k-images-idx3-ubyte": noise.integers(0, 256, (20, 28, 28)),
    "t10k-labels-idx1-ubyte": noise.integers(0, 10, (20,)),
}


UNPACKED = {name: idx(array) for name, array in ARRAYS.items()}


PACKED = {f"{name}.gz": gzip.compress(content) for name, content in UNPACKED.items()}


RESOURCES = [resource(name, packed) for name, packed in PACKED.items()]


Answer = Callable[[BaseHTTPRequestHandler], None]


def body(content: bytes, length: int | None = None, status: int = 200) -> Answer:
    """Send `content`, announced as `length` bytes (default: the truth; -1: not at all)."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        if length != -1:
            request.send_header("Content-Length", str(len(content) if length is None else length))
        request.end_headers()
        request.wfile.write(content)

    return answer


class Server:
    """Two mirrors, /a and /b, both complete until an entry of `answers` says otherwise; `asked` lists the requests."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {
            f"/{m}/{name}": body(packed) for m in "ab" for name, packed in PACKED.items()
        }
        self.asked: list[str] = []
        self.release = threading.Event()  # ends the answers that hang
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                try:
                    outer.answers.get(self.path, body(b"no", status=404))(self)
                except OSError:  # the client went away, as some tests want
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.host = f"127.0.0.1:{self.http.server_port}"
        self.mirrors = [f"http://{self.host}/a/", f"http://{self.host}/b"]  # with and without the last slash
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def half_then_hang(self, content: bytes) -> Answer:
        def answer(request: BaseHTTPRequestHandler) -> None:
            body(content[: len(content) // 2], length=len(content))(request)
            self.release.wait(10)

        return answer

    def on_both(self, name: str, answer: Answer) -> None:
        self.answers |= {f"/{mirror}/{name}": answer for mirror in "ab"}
