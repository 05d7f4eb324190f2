"""Keeps what a model author's code raises, so that one model's fault stays with that model's callers."""

from types import TracebackType


class Attempt:
    """A block whose exception is kept in `error` instead of travelling on.

    A model may raise anything at all; which is why this catches every Exception. Exits and interrupts pass.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        self.error = error if isinstance(error, Exception) else None
        return self.error is not None
