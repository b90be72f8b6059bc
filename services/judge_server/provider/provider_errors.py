"""Give the failures of providers' packages a status, and a reason that holds neither key nor prompt."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from guerdon.messages import Status
from judge_server.llm import Call, CallFailed

SENT = {"ReadError", "WriteError", "CloseError", "ReadTimeout", "WriteTimeout", "RemoteProtocolError", "DecodingError"}
"""Errors of httpx (and httpx2, so by name) after which the server may have seen the request."""
UNCONNECTED = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
"""Those after which it has not; whatever else is raised is a mistake on this side, which no other attempt mends."""
NO_MONEY = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_credits"}
RETRIABLE = {408, 409, 429}
TIMED_OUT = {408, 504, 524}
"""Something between us and the model gave up; the model may have worked on it all the same."""
FILTERED = {"content_filter", "content_policy_violation"}
NOT_KNOWN = re.compile(
    r"unsupported|unknown|unrecognized|unexpected|\bextra\b|\bnot\b.{0,30}\b(support(ed)?|permitted|allowed|available)\b"
)
"""How a refusal says that a field is too much for the server, rather than what stands in it wrong."""
LOOKS_LIKE_A_KEY = re.compile(r"\b(sk|tgp|key|gsk|xai)[-_][\w*.…-]{4,}", re.IGNORECASE)
LONGEST = 200
ECHO = 24
"""Characters in a row that a server's words share with the prompt make them a quotation of it."""


@dataclass(frozen=True)
class Place:
    """Who was asked, for reasons."""

    name: str
    url: str
    model: str
    key_env: str | None
    key: str | None


def explained(error: Exception, place: Place, call: Call) -> CallFailed:
    """Return the failure that an exception of the packages openai or together stands for."""
    response = getattr(error, "response", None)
    if response is not None:
        return _refusal(response.status_code, getattr(error, "body", None), response.headers, place, call)
    cause = type(error.__cause__ or error).__name__
    sent = cause in SENT
    if not sent and cause not in UNCONNECTED:
        why = f"{place.name}: the request could not be made ({cause}); check base_url and the key"
        return CallFailed("judge_transport", why)
    if "Timeout" in cause:
        why = f"{place.name}: {place.url} did not answer in time ({cause})"
        return CallFailed("judge_timeout", why, retriable=True, sent=sent)
    happened = "the connection broke before an answer was there" if sent else "no connection"
    check = "" if sent else "; check base_url and that the server runs"
    why = f"{place.name}: {happened}: {place.url} ({cause}){check}"
    return CallFailed("judge_transport", why, retriable=True, sent=sent)


def refusal_in_body(error: Any, place: Place, call: Call) -> CallFailed:
    """Return the failure that an answer with status 200 reports in its body."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 502
    return _refusal(status, {"error": error}, {}, place, call)


def refused_field(error: Exception, fields: Mapping[str, tuple[str, ...]]) -> str | None:
    """Return which of these fields (field: words for it) a 400 or 422 says to be too much for the server.

    A server that names the field in `param` is believed. Else its words must name one and say that it is not known, for
    they may quote a prompt.
    """
    if getattr(error, "status_code", None) not in {400, 422}:
        return None
    told = _told(getattr(error, "body", None))
    text = str(told.get("param") or "")
    if not text:
        text = str(told.get("message") or "").lower()
        text = text if NOT_KNOWN.search(text) else ""
    return next((field for field, words in fields.items() if any(word in text for word in words)), None)


def _refusal(status: int, body: Any, headers: Mapping[str, str], place: Place, call: Call) -> CallFailed:
    told = _told(body)
    code = told.get("code") or told.get("type")
    words = _quotable(told.get("message"), place, call)
    why = f"{place.name}: HTTP {status} from {place.url}" + (f" ({code})" if _is_label(code) else "") + words
    if status == 402 or {told.get("code"), told.get("type")} & NO_MONEY:
        return CallFailed("judge_quota", f"{why}; its account has nothing left to spend: top it up, then run again")
    if {told.get("code"), told.get("type")} & FILTERED:
        return CallFailed("judge_refused", why)
    after = retry_after_s(headers)
    if status == 429:
        return CallFailed("judge_quota", why, retriable=True, retry_after_s=after, throttled=True)
    kind: Status = "judge_timeout" if status in TIMED_OUT else "judge_transport"
    retriable = status in RETRIABLE or status >= 500
    return CallFailed(
        kind, why + _advice(status, place), retriable=retriable, retry_after_s=after, sent=status in TIMED_OUT
    )


def _advice(status: int, place: Place) -> str:
    if status in {401, 403}:
        return (
            f"; check the key in {place.key_env}" if place.key_env else "; it wants a key: name its variable, key_env"
        )
    if status == 404:
        return f"; check base_url (up to and including /v1) and model = {place.model!r}"
    if 300 <= status < 400:
        return "; redirects are not followed: set base_url to where it points"
    return ""


def _told(body: Any) -> dict[str, Any]:
    """Return the error object of a body; the packages hand over what is in `error`, or the whole."""
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    elif isinstance(body, dict) and isinstance(body.get("error"), str):
        body = {"message": body["error"]}
    if isinstance(body, dict):
        code, kind = body.get("code"), body.get("type")
        return {
            **body,
            "code": code if isinstance(code, str) else None,
            "type": kind if isinstance(kind, str) else None,
        }
    return {}


def _is_label(code: Any) -> bool:
    return isinstance(code, str) and re.fullmatch(r"[A-Za-z_.-]{1,60}", code) is not None


def _quotable(message: Any, place: Place, call: Call) -> str:
    """Return what the server says, unless it quotes what was sent; keys are blotted out."""
    if not isinstance(message, str) or not message.strip():
        return ""
    words = " ".join(message.split())
    if place.key:
        words = words.replace(place.key, "[key]")
    words = LOOKS_LIKE_A_KEY.sub("[key]", words)[:LONGEST]
    sent = " ".join(" ".join(content for _, content in call.turns).split())
    if any(words[at : at + ECHO] in sent for at in range(max(1, len(words) - ECHO + 1))):
        return ""
    return f": it says {words!r}"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a number or a date; None where it is absent or neither."""
    millis, value = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if millis is not None:
            return max(0.0, float(millis) / 1000)
        if value is None:
            return None
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (TypeError, ValueError, OverflowError):
        return None
