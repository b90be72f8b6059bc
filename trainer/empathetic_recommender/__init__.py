"""Recommendation dialogues: data, metrics of recommenders and of their replies, a simulated user."""
