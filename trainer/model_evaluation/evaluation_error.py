"""What stops an evaluation before it costs anything, in words for the person who started it."""


class EvaluationError(Exception):
    """The evaluation cannot be done as it was asked for; the message says what was wrong and what would work."""
