"""SHA-256 of a file: by it a manifest names what something was made of."""

import hashlib
from pathlib import Path


def of(path: Path) -> str:
    """Return 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
