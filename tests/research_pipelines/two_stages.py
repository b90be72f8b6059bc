"""A process that starts the servers of a stage, says where they are, and waits to be killed."""

import signal
import sys
from pathlib import Path

from research_pipelines.servers import Servers
from research_pipelines.stage import Stage

with Servers(Path(sys.argv[1]), {}, threads=1) as servers:
    urls = servers.for_stage(Stage("score", ("rewards",), (), rewards='[length]\nkind = "length"\n'))
    assert servers._process is not None
    print(urls["reward_url"], servers._process.pid, flush=True)
    signal.pause()
