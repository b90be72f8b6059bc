"""Who may ask: one bearer token, compared in constant time."""

import hmac

from starlette.requests import Request


def allowed(request: Request, token: str | None) -> bool:
    """Whether a request carries the token; every request does when there is none."""
    if token is None:
        return True
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # On bytes, because compare_digest raises on text that is not ASCII; headers come decoded as Latin-1.
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), token.encode())
