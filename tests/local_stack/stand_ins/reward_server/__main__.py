"""The API: ready as soon as it listens, unless the file STAND_IN_REFUSES says why not."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Face(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"ready": True, "redis": True, "replies": True, "draining": False, "workers": {}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


refusal = os.environ.get("STAND_IN_REFUSES")
if refusal and Path(refusal).exists():
    sys.exit(f"ERROR {Path(refusal).read_text()}")
address = (os.environ["GUERDON_REWARD_HOST"], int(os.environ["GUERDON_REWARD_PORT"]))
ThreadingHTTPServer(address, Face).serve_forever()
