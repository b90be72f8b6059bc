"""The operator's texts, each under an id: personas, or the items that people prefer one over another."""

import json
import tomllib
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TextFile:
    """Texts by id, in the order of the file, and a digest that changes with any of them."""

    path: Path
    texts: dict[str, str]
    digest: str

    def __getitem__(self, name: str) -> str:
        if name not in self.texts:
            raise ValueError(
                f"{self.path.name} has no {name!r}; it has {len(self.texts)}, e.g. {next(iter(self.texts))!r}"
            )
        return self.texts[name]


def read_texts(name: str) -> TextFile:
    """Read a TOML or JSON file: `id = "text"`, or a table per id with the key `text`, whose other keys are ignored.

    Raises:
        ValueError: it cannot be read, holds nothing, or an entry is no text.
    """
    path = Path(name).expanduser()
    try:
        content = path.read_text(encoding="utf-8")
        entries = json.loads(content) if path.suffix == ".json" else tomllib.loads(content)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is neither TOML nor JSON: {error}") from error
    if not isinstance(entries, dict) or not entries:
        raise ValueError(f'{path} should hold one entry per text: id = "text", or a table [id] with the key text')
    texts = {key: _text(path, key, entry) for key, entry in entries.items()}
    digest = blake2b(json.dumps(texts).encode(), digest_size=8).hexdigest()
    return TextFile(path, texts, digest)


def _text(path: Path, key: str, entry: Any) -> str:
    text = entry.get("text") if isinstance(entry, dict) else entry
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f'{path}: {key} is no text; write {key} = "…", or a table [{key}] with the key text')
    return text.strip()
