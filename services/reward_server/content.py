"""One id for one content: what a score is stored, merged and asked for under."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import orjson

from guerdon.messages import Item

Fields = dict[str, Any]
"""The item fields a kind reads, as JSON values."""


def fields(item: Item, reads: Iterable[str]) -> Fields:
    """Return the fields of an item that decide its score, as they go over the queue."""
    return {name: _plain(getattr(item, name)) for name in reads}


def canonical(content: Fields) -> bytes:
    """Return the canonical (key-sorted, compact) JSON of an item's fields: what is hashed, and what is sent.

    Raises:
        TypeError: the fields are nested more deeply than JSON is written.
    """
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def content_id(version: str, content: bytes) -> str:
    """Return 32 hex digits: BLAKE2b-128 of the version and the canonical JSON of the fields."""
    return blake2b(version.encode() + b"\0" + content, digest_size=16).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, list) and value and hasattr(value[0], "model_dump"):
        return [message.model_dump() for message in value]
    return value
