"""The server: ready as soon as it listens; /env tells the settings it was given."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Face(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        settings = {name: value for name, value in os.environ.items() if name.startswith("GUERDON_JUDGE_")}
        body = json.dumps(settings if self.path == "/env" else {"ready": True}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


refusal = os.environ.get("STAND_IN_JUDGE_REFUSES")
if refusal and Path(refusal).exists():
    sys.exit(f"ERROR {Path(refusal).read_text()}")
address = (os.environ["GUERDON_JUDGE_HOST"], int(os.environ["GUERDON_JUDGE_PORT"]))
ThreadingHTTPServer(address, Face).serve_forever()
