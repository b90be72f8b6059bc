"""The critic behind mosec: run by its own Python as `mosec_critic.py`, with its arguments in MOSEC_CRITIC.

mosec reads the command line itself, and starts its workers as processes that import this file.
"""

import os
from typing import Any

from mosec import Server, Worker
from plain_critic import PlainCritic


class Critic(Worker):
    """One worker that merges up to 8 requests and waits 10 ms for them at most: 32 are slower, for their padding."""

    def __init__(self) -> None:
        super().__init__()
        directory, threads, dtype = os.environ["MOSEC_CRITIC"].split("|")
        self.critic = PlainCritic(directory, int(threads), dtype)

    def forward(self, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self.critic.answers([request["items"][0] for request in data])


if __name__ == "__main__":
    server = Server()
    server.append_worker(Critic, num=1, max_batch_size=8, max_wait_time=10, route="/v1/score")
    server.run()
