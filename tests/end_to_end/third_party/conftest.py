"""A distribution of somebody else's, built by its own backend and installed where only PYTHONPATH finds it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "acme"


@pytest.fixture(scope="session")
def acme(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the distribution is installed."""
    target = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(SOURCE)], check=True)
    return {"PYTHONPATH": os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])}
