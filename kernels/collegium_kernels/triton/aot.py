"""Compile every kernel ahead of time, without a GPU, and read what the compiler made of it.

    python -m collegium.kernels.triton.aot [TARGET ...] [--only NAME]

prints a JSON list with one row per kernel, configuration and target: registers a thread, bytes of
spilled registers, bytes of shared memory a program, and the widest load and store in bits. The
configurations are the ones that `collegium.kernels.triton.launch` would pick for a vocabulary of
151,936; operands and dz are bfloat16.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from . import configurations, patch, pieces, rows

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
VOCABULARY = 151_936
LIST = 64
FKL, RKL, JSD = (k.value for k in (pieces.FORWARD_KL, pieces.REVERSE_KL, pieces.JSD))

_TYPES = {
    "i64": ("ROWS", "LABELS", "LIST_IDS", "TOP"),
    "bf16": ("S_BIAS", "T_BIAS", "DZ"),
    "fp32": (
        *("Z", "T", "LABEL_LOGITS", "CE_SLOPE", "KD_SLOPE", "MIX", "STATS", "EARLIER"),
        *("LIST_LOGITS", "LIST_TAIL", "LIST_SLOPE", "LIST_GRADIENT"),
    ),
}
_INTEGERS = ("z_stride", "t_strides", "list_width", "earlier_stride", "dz_stride")
_INTEGERS += ("rows", "V", "V_PADDED")
_TUPLES = ("T", "t_strides", "T_BIAS", "t_scales", "t_caps")
_ALIGNED = ("Z", "z_stride", "T", "t_strides", "S_BIAS", "T_BIAS", "EARLIER", "earlier_stride")
_ALIGNED += ("DZ", "dz_stride", "STATS", "ROWS", "V_PADDED")


@dataclass(frozen=True)
class Case:
    """A kernel with its compile-time flags."""

    name: str
    kind: int = FKL
    teachers: int = 1
    temperature: bool = True
    """Whether it differs from 1."""
    capped: bool = False
    """Soft-cap and bias on both sides."""
    measure: bool = True
    write: int = pieces.FINISH.value
    add: bool = False
    lists: int | None = None
    """Number of lists; 0 while measuring, when no gradient is known yet."""
    given: bool = False
    """Logits in bfloat16, read where they lie."""
    patch: bool = False

    def flags(self) -> dict[str, Any]:
        """Return the compile-time arguments."""
        every = (1 << self.teachers) - 1
        shared = {
            "KIND": self.kind,
            "NT": self.teachers,
            "SAME": not self.temperature,
            "S_HAS_BIAS": self.capped,
            "S_CAPPED": self.capped,
            "T_HAS_BIAS": every * self.capped,
            "T_CAPPED": every * self.capped,
            "T_GATHERED": every * self.given,
            "ADD": self.add,
            "LIST_BLOCK": configurations.for_lists(1 if self.lists is None else LIST).block,
        }
        if self.patch:
            return shared
        return shared | {
            "NL": self.lists or 0,
            "S_GATHERED": self.given,
            "EXCLUDE": self.lists is not None,
            "MEASURE": self.measure,
            "WRITE": self.write,
            "BLOCK": self._configuration().block,
        }

    def _configuration(self) -> configurations.Configuration:
        if self.patch:
            return configurations.for_lists(LIST)
        return configurations.for_rows(
            VOCABULARY, self.teachers, self.capped, self.lists is not None
        )

    @property
    def warps(self) -> int:
        """Warps of a program."""
        return self._configuration().warps

    def describe(self) -> str:
        """Return name, columns at a time and warps."""
        return f"{self.name}, {self._configuration().block} columns, {self.warps} warps"


CASES = (
    Case("cross-entropy alone", teachers=0, temperature=False),
    Case("forward_kl", temperature=False),
    Case("forward_kl, T"),
    Case("reverse_kl, T", kind=RKL),
    Case("jsd", kind=JSD, temperature=False),
    Case("jsd, T", kind=JSD),
    Case("jsd, T, no gradient", kind=JSD, write=0),
    Case("forward_kl, T, soft-cap and bias", capped=True),
    Case("jsd, T, soft-cap and bias", kind=JSD, capped=True),
    Case("jsd, T, 2 teachers", kind=JSD, teachers=2),
    Case("forward_kl, T, 3 teachers", teachers=3),
    Case("reverse_kl, T, 3 teachers", kind=RKL, teachers=3),
    Case("jsd, T, 3 teachers", kind=JSD, teachers=3),
    Case("jsd, T, 3 teachers folded", kind=JSD, teachers=3, write=pieces.FOLD.value, add=True),
    Case("forward_kl, T, given logits", given=True),
    Case("top-k, measuring", teachers=0, write=0, lists=0),
    Case("top-k, writing", teachers=0, measure=False, lists=1),
    Case("top-k and teacher, jsd, T, soft-cap, measuring", kind=JSD, capped=True, write=0, lists=0),
    Case("top-k and teacher, jsd, T, writing", kind=JSD, measure=False, lists=1),
    Case("top-k, patch", teachers=0, patch=True),
    Case("top-k and teacher, jsd, T, patch", kind=JSD, patch=True),
)


@dataclass
class Row:
    """What the compiler made of one case for one target."""

    kernel: str
    configuration: str
    target: str
    registers: int
    spills: int
    shared_bytes: int
    load_bits: int
    store_bits: int


@dataclass
class _Signature:
    types: dict[str, Any] = field(default_factory=dict)
    constants: dict[tuple[int, ...], Any] = field(default_factory=dict)
    hints: dict[tuple[int, ...], list] = field(default_factory=dict)


def _type_of(name: str, case: Case) -> str:
    if case.given and name in ("Z", "T"):
        return "*bf16"
    for element, names in _TYPES.items():
        if name in names:
            return f"*{element}"
    return "i32" if name in _INTEGERS else "fp32"


def _signature(names: Iterable[str], case: Case) -> _Signature:
    out, flags, count = _Signature(), case.flags(), max(1, case.teachers)
    for place, name in enumerate(names):
        if name in flags:
            out.types[name] = "constexpr"
            out.constants[(place,)] = flags[name]
            continue
        kind = _type_of(name, case)
        out.types[name] = (kind,) * count if name in _TUPLES else kind
        if name in _ALIGNED:
            paths = [(place, k) for k in range(count)] if name in _TUPLES else [(place,)]
            out.hints |= {path: [["tt.divisibility", 16]] for path in paths}
    return out


def compile_case(case: Case, target: str) -> Row:
    """Compile one case for one target of `TARGETS`."""
    kernel = patch.patch_rows if case.patch else rows.distill_rows
    signature = _signature(kernel.arg_names, case)
    source = ASTSource(kernel, signature.types, signature.constants, signature.hints)
    options = {"num_warps": case.warps, "enable_fp_fusion": False}
    compiled = triton.compile(source, target=TARGETS[target], options=options)
    read = _of_nvidia if TARGETS[target].backend == "cuda" else _of_amd
    registers, spills, loads, stores = read(compiled.asm)
    return Row(
        kernel=kernel.__name__,
        configuration=case.describe(),
        target=target,
        registers=registers,
        spills=spills,
        shared_bytes=compiled.metadata.shared,
        load_bits=max(loads),
        store_bits=max(stores),
    )


def _of_nvidia(asm: Any) -> tuple[int, int, list[int], list[int]]:
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(asm["cubin"])
        file.flush()
        command = [str(tool), "-res-usage", file.name]
        usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    registers = int(re.findall(r"REG:(\d+)", usage)[0])
    # The kernels have no arrays: a stack, or local memory, can only hold spilled registers.
    spills = sum(int(size) for size in re.findall(r"(?:STACK|LOCAL):(\d+)", usage))

    def widths(instruction: str) -> list[int]:
        found = re.findall(
            rf"\b{instruction}\.global(?:\.[a-z]\w*(?:::\w+)*)*?(?:\.v(\d))?\.[bfsu](\d+)",
            asm["ptx"],
        )
        return [int(count or 1) * int(bits) for count, bits in found]

    return registers, spills, widths("ld"), widths("st")


def _of_amd(asm: Any) -> tuple[int, int, list[int], list[int]]:
    text = asm["amdgcn"]

    def number(name: str) -> int:
        return int(re.findall(rf"\.{name}:\s+(\d+)", text)[0])

    def widths(instruction: str) -> list[int]:
        names = re.findall(rf"\b(?:global|buffer)_{instruction}_(\w+)", text)
        return [_amd_bits(name) for name in names]

    spills = 4 * (number("vgpr_spill_count") + number("sgpr_spill_count"))
    registers = number("vgpr_count") + number("agpr_count")
    spills = max(spills, number("private_segment_fixed_size"))
    return registers, spills, widths("load"), widths("store")


def _amd_bits(name: str) -> int:
    words = re.match(r"dword(?:x(\d))?", name)
    if words:
        return 32 * int(words[1] or 1)
    return 8 if "byte" in name else 16


def table(targets: Iterable[str] = TARGETS, only: str | None = None) -> Iterator[Row]:
    """Compile all cases, or the one named `only`, for the targets, one after the other."""
    for case in CASES:
        if only in (None, case.name):
            for target in targets:
                yield compile_case(case, target)


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compile the row kernels without a GPU.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--only", choices=[case.name for case in CASES], metavar="NAME")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.targets) - set(TARGETS))
    if unknown:
        parser.error(f"unknown target {unknown[0]!r}; known are {', '.join(TARGETS)}")
    rows = table(options.targets or TARGETS, options.only)
    print(json.dumps([vars(row) for row in rows], indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
