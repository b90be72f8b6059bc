"""The seed of a draw, from what the draw is for: the same in every process, and another for each purpose."""

import hashlib


def of(*named: object) -> int:
    """Return a seed in [0, 2**31)."""
    text = " ".join(map(str, named))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) >> 1
