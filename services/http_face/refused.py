"""Why a request gets no answer: it is wrong, its tenant has had enough, or it cannot be admitted now."""


class Refused(ValueError):
    """The request as a whole is wrong. `field` names what, the message what would have worked."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


class OverQuota(Exception):
    """A tenant has used up a limit of its own; `retry_after_s` says when to ask again."""

    def __init__(self, reason: str, retry_after_s: int) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Unavailable(RuntimeError):
    """Work cannot be admitted now; the message says why, `retry_after_s` when to ask again."""

    def __init__(self, reason: str, retry_after_s: int = 1) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
