"""What the critic's commands say when they cannot do what they were asked."""


class CriticError(Exception):
    """The message says what was wrong, where, and what would have worked."""
