"""What a command of this package cannot do as asked; the message is for the person who asked."""


class ElicitationError(Exception):
    pass
