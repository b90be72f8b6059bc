"""The containers as processes on one machine: `guerdon up`, `guerdon demo`, and `Stack` for tests."""

from local_stack.failure import StackError
from local_stack.stack import Stack

__all__ = ["Stack", "StackError"]
