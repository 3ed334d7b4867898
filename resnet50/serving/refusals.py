"""Why a request gets no prediction: a status of HTTP and one line, which never repeats what the client sent."""

from __future__ import annotations


class RequestError(ValueError):
    """A request that is refused or cannot be answered.

    Args:
        status: Status of HTTP, 400 to 599.
        message: One line for the client.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[type[RequestError], tuple[int, str]]:
        """Let it pass from one process to another."""
        return type(self), (self.status, str(self))

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer: when to ask again, where that may help."""
        return {"Retry-After": "1"} if self.status == 503 else {}
