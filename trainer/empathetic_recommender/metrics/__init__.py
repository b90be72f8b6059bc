"""Metrics of recommenders and of their replies, each with its variant in its name; pure functions."""
