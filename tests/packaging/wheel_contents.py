"""Compare a wheel's file list with the sources: ``python wheel_contents.py WHEEL``."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def expected() -> set[str]:
    """Every file of the package, the kernels under their one import name."""
    python = ROOT / "python"
    kernels = ROOT / "kernels" / "collegium_kernels"
    found = {
        p.relative_to(python).as_posix()
        for p in (python / "collegium").rglob("*")
        if p.suffix in {".py", ".pyi", ".yaml", ".json", ".css", ".typed"}
        and "kernels" not in p.parts
    }
    found.add("collegium/py.typed")
    found |= {
        f"collegium/kernels/{p.relative_to(kernels).as_posix()}" for p in kernels.rglob("*.py")
    }
    return found


def problems(wheel: Path) -> list[str]:
    """Return what is missing from the wheel and what does not belong there."""
    with zipfile.ZipFile(wheel) as archive:
        names = {n for n in archive.namelist() if ".dist-info/" not in n}
    extension = {n for n in names if n.startswith("collegium/_rust.") and n.endswith(".so")}
    out = [f"missing: {n}" for n in sorted(expected() - names)]
    out += [f"unexpected: {n}" for n in sorted(names - expected() - extension)]
    if len(extension) != 1:
        out.append(f"expected one extension module, found {sorted(extension)}")
    if "abi3" not in wheel.name:
        out.append(f"not an abi3 wheel: {wheel.name}")
    return out


if __name__ == "__main__":
    path = Path(sys.argv[1])
    found = problems(path)
    print(
        "\n".join(found) or f"{path.name}: {len(expected())} files and the extension, as expected"
    )
    sys.exit(bool(found))
