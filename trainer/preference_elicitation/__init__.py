"""A policy learns to ask the question that tells most about what a persona prefers."""
