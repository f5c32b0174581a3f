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


@pytest.fixture
def eggs():
    """A small sound thought graph: two ways to the answer, one mistake, all metacognition."""
    from collegium.graphs import Alternative, Answer, Edge, Node, ThoughtGraph

    problem = "Max has 6 eggs . gives 2 . buys 3 . how many eggs ?"
    nodes = (
        Node(id="p", kind="problem", text=problem),
        Node(
            id="t1",
            kind="strategy",
            text="go through the story",
            why="each change has its sentence",
            alternatives=(Alternative(option="count changes", reason_rejected="more to keep"),),
        ),
        Node(
            id="s1", kind="step", text="6 - 2 = 4 ;", why="gives takes away", contributes="4 left"
        ),
        Node(id="c", kind="monitor", text="one change is still to come"),
        Node(id="s2", kind="step", text="4 + 3 = 7 ;", why="buys adds", contributes="the total"),
        Node(id="m", kind="misconception", text="6 + 2 = 8 ;", correct=False),
        Node(id="x", kind="error_analysis", text="gives makes it fewer, not more"),
        Node(
            id="t2",
            kind="strategy",
            text="all changes first: 3 - 2 = 1 ; 6 + 1 = 7 ;",
            why="one sum",
            alternatives=(Alternative(option="step by step"),),
        ),
        Node(id="e", kind="evaluation", text="7 - 3 + 2 = 6 , as told"),
        Node(id="a", kind="answer", text="answer 7", correct=True),
    )
    edges = (
        Edge(src="p", dst="t1"),
        Edge(src="p", dst="t2", kind="fork"),
        Edge(src="t1", dst="s1"),
        Edge(src="s1", dst="c"),
        Edge(src="c", dst="s2"),
        Edge(src="t1", dst="m", kind="error"),
        Edge(src="m", dst="x"),
        Edge(src="x", dst="t1", kind="fixes"),
        Edge(src="s2", dst="e"),
        Edge(src="e", dst="a"),
        Edge(src="t2", dst="a"),
    )
    return ThoughtGraph(
        id="eggs",
        problem=problem,
        answer=Answer(value="7", checker="numeric", verified=True),
        nodes=nodes,
        edges=edges,
    )
