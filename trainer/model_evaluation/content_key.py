"""Keys that say whether something was made from the same content and the same settings."""

import json
from hashlib import blake2b
from typing import Any


def content_key(value: Any) -> str:
    """Return 16 hexadecimal digits that depend on a JSON value alone, not on the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
