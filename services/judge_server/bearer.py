"""Who may ask: whoever has the server's one token, or everybody where there is none."""

import hmac
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True)
class Holder:
    """Whoever has the token; the name is for the log."""

    name: str = "default"


class Bearer:
    """Kept as a digest: all digests are of one length, so that comparing them takes the same time for every token."""

    def __init__(self, token: str | None) -> None:
        self._digest = None if token is None else _digest(token.encode())

    def whose(self, token: bytes | None) -> Holder | None:
        """Return whose token it is; None: nobody's."""
        if self._digest is None or hmac.compare_digest(_digest(token or b""), self._digest):
            return Holder()
        return None


def _digest(token: bytes) -> bytes:
    return sha256(token).digest()
