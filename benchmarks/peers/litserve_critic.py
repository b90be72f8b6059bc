"""The critic behind LitServe: run by its own Python as `litserve_critic.py PORT DIRECTORY THREADS DTYPE`."""

import sys
from typing import Any

import litserve
from plain_critic import PlainCritic


class Api(litserve.LitAPI):
    """One worker that merges up to 8 requests and waits 10 ms for them at most: 32 are slower, for their padding."""

    def setup(self, device: str) -> None:
        _, directory, threads, dtype = sys.argv[1:]
        self.critic = PlainCritic(directory, int(threads), dtype)

    def decode_request(self, request: dict[str, Any]) -> dict[str, str]:
        item: dict[str, str] = request["items"][0]
        return item

    def batch(self, inputs: list[dict[str, str]]) -> list[dict[str, str]]:
        return inputs

    def predict(self, inputs: list[dict[str, str]]) -> list[dict[str, Any]]:
        return self.critic.answers(inputs)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    api = Api(max_batch_size=8, batch_timeout=0.01, api_path="/v1/score")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="error", generate_client_file=False)
