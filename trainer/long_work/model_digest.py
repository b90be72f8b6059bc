"""What names the weights that a command asks: a digest of a folder's files, or the id and commit of a hub."""

import json
from hashlib import sha256
from pathlib import Path

from long_work import content_digest
from long_work.command_error import CommandError

READ: tuple[str, ...] = (
    *("*.safetensors", "pytorch_model*.bin", "adapter_config.json"),
    *("config.json", "generation_config.json", "tokenizer*.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "*.model", "*.jinja", "*.txt"),
)
"""What transformers and peft read; cards beside them, which name times and losses, change no answer."""
ADAPTER = "adapter_config.json"


def of(model: str, revision: str | None = None) -> str:
    """Return "sha256:…" of all that is read from a folder, weights byte by byte, or "ID@REVISION" of a hub id.

    An adapter's digest is also that of the model it sits on.

    Raises:
        CommandError: the folder cannot be read.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return f"{model}@{revision or 'main'}"
    try:
        named = sorted({path for pattern in READ for path in folder.glob(pattern)})
        parts = [f"{path.name} {content_digest.of(path)}" for path in named]
        if (folder / ADAPTER).exists():
            adapter = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
            parts.append(of(str(adapter["base_model_name_or_path"]), adapter.get("revision")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"the model {folder} cannot be read: {type(error).__name__} {error}") from None
    told = "\n".join(parts)
    return f"sha256:{sha256(told.encode()).hexdigest()}"
