"""`collegium doctor`: versions, devices, engines and kernels in use."""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
from importlib import metadata
from typing import Annotated, Any

import typer

PACKAGES = ("torch", "triton", "transformers", "tokenizers", "accelerate", "pyarrow", "numpy")


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("doctor", help="Tell versions, devices, engines and kernels in use.")
    def doctor(
        tokenizer: Annotated[
            str | None,
            typer.Argument(help="A tokenizer.json or a directory with one: what encodes it?"),
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    ) -> None:
        facts = examine() if tokenizer is None else {"tokenizer": examine_tokenizer(tokenizer)}
        if as_json:
            typer.echo(json.dumps(facts, indent=1))
        else:
            for section, rows in facts.items():
                typer.echo(section)
                for key, value in rows.items():
                    typer.echo(f"  {key:18} {value}")
        if tokenizer is None and unusable(facts):
            raise typer.Exit(2)


def unusable(facts: dict[str, dict[str, Any]]) -> bool:
    """Tell whether a part that is needed is missing."""
    return facts["core"]["rust"].startswith("missing") or "missing" in facts["packages"].values()


def examine_tokenizer(path: str) -> dict[str, Any]:
    """Return what encodes the texts of a tokenizer, and why.

    Raises:
        CheckpointError: there is no tokenizer that can be used at `path`.
    """
    from collegium.tokenizer import Tokenizer

    tokenizer = (
        Tokenizer.from_pretrained(path) if os.path.isdir(path) else Tokenizer.from_file(path)
    )
    native = tokenizer.engine == "native"
    return {
        "file": path,
        "engine": "native" if native else f"{tokenizer.engine}, the package of that name",
        "plan" if native else "why not native": tokenizer.plan,
        "tokens": tokenizer.vocab_size,
        "fingerprint": tokenizer.fingerprint,
    }


def examine() -> dict[str, dict[str, Any]]:
    """Return what this installation consists of and what it will use."""
    import collegium

    packages = {name: _version(name) for name in PACKAGES}
    return {
        "collegium": {
            "version": collegium.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "location": os.path.dirname(collegium.__file__ or ""),
        },
        "core": {"rust": _rust(), "tokenizer engine": _engine()},
        "packages": packages,
        "devices": _devices(),
        "kernels": _kernels(),
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        # Only the CUDA builds of torch bring triton; without it the torch kernels are used.
        return "absent" if name == "triton" else "missing"


def _rust() -> str:
    try:
        core = importlib.import_module("collegium._rust")
    except ImportError as error:
        return f"missing ({error}); install the package with `pip install .`"
    return f"loaded ({os.path.basename(core.__file__ or '')})"


def _engine() -> str:
    """Ask a real tokenizer, made here, which engine encodes it."""
    import tempfile

    from tokenizers import Tokenizer as Reference
    from tokenizers.models import WordLevel

    try:
        from collegium.tokenizer import Tokenizer
    except ImportError:
        return "missing"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tokenizer.json")
        Reference(WordLevel({"a": 0, "[unk]": 1}, unk_token="[unk]")).save(path)
        return Tokenizer.from_file(path).engine


def _devices() -> dict[str, Any]:
    import torch

    devices: dict[str, Any] = {
        "cpu": f"{os.cpu_count()} cores, {torch.get_num_threads()} torch threads, "
        f"{torch.backends.cpu.get_cpu_capability()}"
    }
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(index)
            devices[f"cuda:{index}"] = f"{card.name}, {card.total_memory >> 30} GiB"
    else:
        devices["cuda"] = "none"
    devices["disk free"] = f"{shutil.disk_usage('.').free >> 30} GiB here"
    return devices


def _kernels() -> dict[str, str]:
    from collegium.kernels import implementations

    return implementations()
