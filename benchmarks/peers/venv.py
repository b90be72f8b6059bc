"""A virtual environment for each server that we compare with: their dependencies are none of ours."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

FOLDER = Path.home() / ".cache" / "guerdon" / "bench-peers"
PINS = {"litserve": "0.2.19", "mosec": "0.9.8"}
SHARED = ("torch", "transformers", "safetensors", "tokenizers")
"""Installed in the versions that we run ourselves, so that only the servers differ."""
ALONE = {"py-openjudge": "0.2.4"}
"""No model runs in these, so nothing is shared with them."""


def python(peer: str) -> Path:
    """Return the interpreter of a peer's environment, made and filled where it is not there yet."""
    interpreter = FOLDER / peer / "bin" / "python"
    shared = SHARED if peer in PINS else ()
    pin = (PINS | ALONE)[peer]
    wanted = [f"{peer}=={pin}", *(f"{name}=={version(name).partition('+')[0]}" for name in shared)]
    stamp = FOLDER / peer / "installed.txt"
    if not stamp.exists() or stamp.read_text().split() != wanted:
        print(f"installing {' '.join(wanted)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", FOLDER / peer], check=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", *wanted], check=True)
        stamp.write_text("\n".join(wanted))
    return interpreter
