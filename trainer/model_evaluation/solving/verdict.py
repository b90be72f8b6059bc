"""Whether a completion is right, or why that is not known."""

from guerdon.messages import Message, Status


class Verdict(Message):
    """`right` is None where the machinery failed, and `status` and `error` then say why; `error` explains a wrong one.

    A completion that crashes or runs out of time is wrong: that is its own fault.
    """

    right: bool | None = None
    status: Status = "ok"
    error: str | None = None

    @classmethod
    def of(cls, right: bool, error: str | None = None) -> "Verdict":
        return cls(right=right, error=error)

    @classmethod
    def unknown(cls, status: Status, error: str) -> "Verdict":
        return cls(status=status, error=error)
