"""What is wrong with a request, as a status code and one sentence."""

from __future__ import annotations

from collections.abc import Mapping


class RequestError(Exception):
    """The request is refused with `status`; the message is complete, and `headers` go with it."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = dict(headers or {})
