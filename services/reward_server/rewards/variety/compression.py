"""How much smaller a group's texts become when they are packed together."""

import zlib
from collections.abc import Sequence

LEVEL = 9
EMPTY = len(zlib.compress(b"", LEVEL))
"""What zlib writes for nothing at all, in bytes."""


def compression(texts: Sequence[str]) -> float | None:
    """Return bytes / compressed bytes of the texts together, above 0; None where there are none (Shaib et al. 2024).

    Higher is more alike. zlib at level 9, without the bytes of an empty stream, so that short groups are not all
    alike. The texts are sorted, so that their order in the group changes nothing; what lies more than 32 kB back
    zlib does not see. Different zlib builds pack to slightly different sizes.
    """
    if not any(texts):
        return None
    content = "\n".join(sorted(texts)).encode("utf-8", "surrogatepass")
    return len(content) / (len(zlib.compress(content, LEVEL)) - EMPTY)
