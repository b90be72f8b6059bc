"""What a command's exit status says beside 0 (done), 2 (it cannot be done as asked) and 130 (interrupted)."""

INCOMPLETE = 3
"""Done, and some of what was to be judged has no verdict."""
