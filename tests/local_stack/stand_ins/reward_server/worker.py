"""The worker: touches its heartbeat, starts a child as a model server might, and waits."""

import os
import subprocess
import sys
from pathlib import Path

refusal = os.environ.get("STAND_IN_WORKER_REFUSES")
if refusal and Path(refusal).exists():
    sys.exit(f"ERROR {Path(refusal).read_text()}")
print("WARNING the model is small", file=sys.stderr)
child = subprocess.Popen(["sleep", "1000"])
Path(os.environ["GUERDON_REWARD_HEARTBEAT_FILE"]).touch()
child.wait()
