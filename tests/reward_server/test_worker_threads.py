"""How many threads a worker's models compute with."""

import os
import subprocess
import sys

ASKED = """
from reward_server.worker import _use_threads
_use_threads(1)
import sys
assert "torch" not in sys.modules  # a worker without models is spared it
import torch
print(torch.get_num_threads())
"""


def test_models_get_the_threads_that_the_operator_gives_whatever_openmp_was_told() -> None:
    env = os.environ | {"OMP_NUM_THREADS": "3", "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run([sys.executable, "-c", ASKED], env=env, capture_output=True, text=True, check=False)
    assert said.stdout.strip() == "1", said.stderr
