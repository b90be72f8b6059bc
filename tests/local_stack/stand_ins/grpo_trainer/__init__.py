"""A trainer that trains nothing."""
