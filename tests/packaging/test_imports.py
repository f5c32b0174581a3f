"""What importing costs, and who may import whom."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "triton", "transformers", "numpy", "pyarrow", "pydantic", "yaml", "rich", "typer")


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_collegium_loads_nothing_heavy() -> None:
    loaded = python(f"import sys, collegium; print([m for m in {HEAVY} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_every_public_name_resolves() -> None:
    code = "import collegium\nfor n in collegium.__all__: getattr(collegium, n)\nprint('ok')"
    assert python(code).strip() == "ok"


def test_unknown_name_is_an_attribute_error() -> None:
    code = "import collegium\ntry: collegium.nothing\nexcept AttributeError as e: print(e)"
    assert "nothing" in python(code)


def test_kernels_import_from_a_plain_checkout_without_the_extension() -> None:
    code = (
        "import sys; sys.modules['collegium._rust'] = None\n"
        "import collegium.kernels as k\n"
        "bad = [m for m in sys.modules if m.startswith('collegium.') "
        "and not m.startswith('collegium.kernels') and sys.modules[m] is not None]\n"
        "print(bad, k.__file__)"
    )
    out = python(code, PYTHONPATH=str(ROOT / "python"))
    assert out.startswith("[] ")
    assert str(ROOT / "python") in out


def test_kernels_folder_is_no_package() -> None:
    assert not (ROOT / "kernels" / "__init__.py").exists()


def test_import_directions() -> None:
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0
