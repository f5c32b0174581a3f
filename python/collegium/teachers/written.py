"""What a local model wrote, in a module that does not import torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Written:
    """One completion."""

    ids: list[int]
    """Without the id that ended it."""
    ended: bool
    """Whether it ended by itself."""
    prompt_tokens: int

    @property
    def tokens(self) -> int:
        """Tokens generated, the last one included."""
        return len(self.ids) + self.ended


class PromptTooLong(Exception):
    """A prompt and the longest completion exceed the model's positions."""
