"""How many columns a program takes at a time, and with how many warps.

Chosen from compiled code: no spilled registers on any target (`collegium.kernels.triton.aot`), and
enough loads in flight to keep the memory busy. A tile of z and of each teacher lives in registers
at once, so more teachers mean narrower tiles.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_TEACHERS = 3
"""Teachers whose logits one launch reads; more are folded into a gradient buffer, three at a time.

Every teacher more in a launch takes a chunk buffer, and chunks get shorter; every teacher folded
costs 16 bytes of traffic per logit."""

LARGEST_BLOCK = 4096
SMALLEST_BLOCK = 16
LARGEST_LIST_BLOCK = 256


@dataclass(frozen=True)
class Configuration:
    """Compile-time sizes of a launch."""

    block: int
    warps: int


def for_rows(vocabulary: int, teachers: int, capped: bool, lists: bool) -> Configuration:
    """Return the configuration of `distill_rows`.

    `capped` says that any side has a soft-cap, `lists` that ids are taken from lists.
    """
    demand = teachers + capped + lists
    block = LARGEST_BLOCK // 4 if demand > 2 else LARGEST_BLOCK // max(1, demand)
    block = max(SMALLEST_BLOCK, min(block, _power_of_two(vocabulary)))
    return Configuration(block, max(1, min(8, block // 128)))


def for_lists(width: int) -> Configuration:
    """Return the configuration of `patch_rows` for lists of `width` ids."""
    block = max(SMALLEST_BLOCK, min(LARGEST_LIST_BLOCK, _power_of_two(width)))
    return Configuration(block, max(1, min(4, block // 64)))


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
