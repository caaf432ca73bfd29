"""The exception whose message is meant for the person who runs the program, and text that is safe to show."""

import re

# All but tab and newline; marks that turn the direction of text; bytes of a file name that are not UTF-8.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class UserError(ValueError):
    """Something the user can put right; scripts print the one-line message without a traceback."""

    def __str__(self) -> str:
        """The message, which may quote a file."""
        return plain(super().__str__())


def plain(text: str) -> str:
    """Text with its control characters written out, so that a name in a file cannot steer the terminal."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
