"""Replies with labels of two labelers, as files of the critic's tests hold them."""

import json
from pathlib import Path
from typing import Any

KIND, RUDE = "I am so sorry to hear that, tell me more.", "Watch something."


def rows(count: int) -> list[dict[str, Any]]:
    """Replies with labels by two labelers; every fifth has no label for `recommendation`."""
    made = []
    for number in range(count):
        kind = number % 2
        one = {"empathy": 0.9 if kind else 0.1, "flat": 0.5} | (
            {"recommendation": 0.2 + 0.6 * (1 - kind)} if number % 5 else {}
        )
        made.append(
            {
                "id": f"r{number}",
                "dialogue": f"d{number // 2}",
                "conversation": [{"role": "user", "content": f"I feel low, {number}."}],
                "reply": f"{KIND if kind else RUDE} {number}",
                "reference": KIND,
                "labels": {"a": one, "b": one},
            }
        )
    return made


def written(path: Path, some: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in some), encoding="utf-8")
    return path
