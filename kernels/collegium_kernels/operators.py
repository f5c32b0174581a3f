"""Declaring torch operators that compilers keep as one node.

`torch.library.custom_op` would do, but its first call imports torch's compiler: seconds and 170 MB
that a plain training loop has no use for.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

_LIBRARY = torch.library.Library("collegium", "FRAGMENT")


def implement(name: str, schema: str) -> Callable[[Callable], Callable]:
    """Declare ``collegium::name`` and return a decorator that registers its body, any device."""
    _LIBRARY.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))

    def register(body: Callable) -> Callable:
        _LIBRARY.impl(name, body, "CompositeExplicitAutograd")
        return body

    return register
