"""Looking things up by name in the explicit registries (`TASKS`, `TEACHERS`, ...)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from collegium.errors import RecipeError, UserError

T = TypeVar("T")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the known name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def lookup(
    registry: Mapping[str, T], name: str, kind: str, error: type[UserError] = RecipeError
) -> T:
    """Return `registry[name]`.

    Raises:
        error: `name` is unknown; the message lists the known names and suggests the nearest.
    """
    try:
        return registry[name]
    except KeyError:
        known = ", ".join(sorted(registry))
        raise error(f"unknown {kind} {name!r}.{nearest(name, registry)} Known: {known}.") from None
