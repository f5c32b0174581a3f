"""The extension module, its stub and its wrappers agree."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import collegium
from collegium import _rust

PACKAGE = Path(collegium.__file__).parent
WRAPPERS = ("tokenizer", "alignment", "dedup", "packing", "unrolling", "objectives/rows")


def test_the_stub_says_what_the_extension_has(tmp_path):
    pytest.importorskip("mypy")
    settings = tmp_path / "mypy.ini"
    # Names and signatures are compared; what other packages' types hold is not looked up.
    settings.write_text("[mypy]\nfollow_imports = skip\n", "utf-8")
    run = subprocess.run(
        [
            sys.executable,
            *("-m", "mypy.stubtest", "collegium._rust", "--mypy-config-file", str(settings)),
        ],
        cwd=tmp_path,
        env={**os.environ, "MYPY_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def used(module: str) -> set[str]:
    """Names that a wrapper takes from `_rust` or calls on its objects."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text("utf-8"))
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    taken = {a.name for n in imports if n.module == "collegium._rust" for a in n.names}
    return taken | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_every_export_is_reached_through_a_wrapper():
    reached = set().union(*(used(module) for module in WRAPPERS))
    exports = {name for name in vars(_rust) if not name.startswith("__")}
    assert exports == set(_rust.__all__)
    for name in exports:
        assert name in reached, f"_rust.{name} has no wrapper"
        value = getattr(_rust, name)
        members = vars(value) if inspect.isclass(value) else {}
        for member in members:
            assert member.startswith("__") or member in reached, f"{name}.{member} has no wrapper"


def test_the_wrappers_are_public_and_documented():
    for name in (
        "Tokenizer",
        "Encoded",
        "deduplicate",
        "Dedup",
        "Reason",
        "pack",
        "Packing",
        "align",
        "Alignment",
    ):
        assert name in collegium.__all__
        value = getattr(collegium, name)
        assert inspect.getdoc(value)
        members = vars(value).values() if inspect.isclass(value) else ()
        for member in members:
            if inspect.isfunction(member) and not member.__name__.startswith("_"):
                assert inspect.getdoc(member), f"{name}.{member.__name__} has no docstring"
