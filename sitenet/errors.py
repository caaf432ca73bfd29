"""The exception whose message is meant for the person who runs the program."""


class UserError(ValueError):
    """Something the user can put right; scripts print the one-line message without a traceback."""
