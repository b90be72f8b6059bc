"""Rewards that another distribution adds to Guerdon."""
