"""What a run of `guerdon train` says in its directory of how it was trained."""

from pathlib import Path
from typing import Any

from long_work import json_file


def settings(run: Path) -> dict[str, Any] | None:
    """Return the settings in a run's manifest, by section; None where there is no manifest, or another program's.

    Raises:
        CommandError: it cannot be read: that is not as if there were none.
    """
    manifest = run / "manifest.json"
    said = json_file.read(manifest) if manifest.is_file() else None
    config = said.get("config") if isinstance(said, dict) else None
    return config if isinstance(config, dict) else None
