"""The errors a user can cause, each also an instance of the matching built-in class.

`UserError` ends a command with exit code 2 and one paragraph; everything else is ours (exit 1).
Messages name the file, row or key, what was expected, what was found and what to do.
"""

from __future__ import annotations


class CollegiumError(Exception):
    """Base of every error raised on purpose by this package."""


class UserError(CollegiumError):
    """Something the caller can mend."""


class DataError(UserError, ValueError):
    """A data file or row that cannot be used."""


class RecipeError(UserError, ValueError):
    """A recipe with an unknown key, a wrong value or an impossible combination."""


class RunError(UserError, RuntimeError):
    """A run directory that cannot be used or continued."""


class CheckpointError(UserError, ValueError):
    """A model or tokenizer directory that cannot be loaded."""


class ArgumentError(UserError, ValueError):
    """A wrong argument to a public function."""
