"""Pairs of an SQL query and a chain of thought, right and wrong, from any SQLite database or from a file of rows."""
