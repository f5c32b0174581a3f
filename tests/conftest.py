"""Fixtures shared by all tests."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

os.environ.setdefault("COLLEGIUM_CHECKS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real questions, rationales and tokenizers beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"real data not present at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def tokenizer_file(shared: Path, tmp_path_factory: pytest.TempPathFactory):
    """Return a function from a name (pythia, gpt2, qwen3, mistral03, t5) to a tokenizer.json."""
    folder = tmp_path_factory.mktemp("tokenizers")

    def unpack(name: str) -> Path:
        target = folder / name / "tokenizer.json"
        if not target.exists():
            target.parent.mkdir()
            source = shared / "tokenizers" / f"{name}.json.gz"
            with gzip.open(source) as packed, target.open("wb") as out:
                shutil.copyfileobj(packed, out)
        return target

    return unpack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip `gpu` tests where there is no CUDA device, and say so."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
