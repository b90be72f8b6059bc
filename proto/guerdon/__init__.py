"""Guerdon: write a reward once, serve it to every trainer, and never let a failed reward teach the policy."""

from guerdon.client import AsyncRewardClient, Refused, RewardClient, RewardServerError, Unreachable
from guerdon.messages import Group, Item, RewardInfo, RewardScores, Score, ScoreRequest, ScoreResponse, Status

__version__ = "0.1.0"

__all__ = [
    "AsyncRewardClient",
    "Group",
    "Item",
    "Refused",
    "RewardClient",
    "RewardInfo",
    "RewardScores",
    "RewardServerError",
    "Score",
    "ScoreRequest",
    "ScoreResponse",
    "Status",
    "Unreachable",
]
