"""Whatever an example holds, a file gives it back."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.example import Example, Rationale
from collegium.example_io import from_table, read_jsonl, to_table, write_jsonl

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
WHOLE = st.none() | st.integers(-(2**63), 2**63 - 1)
REAL = st.none() | st.floats(allow_nan=False, allow_infinity=False)
RATIONALES = st.builds(
    Rationale,
    teacher=TEXT,
    sample=st.integers(0, 2**63 - 1),
    text=TEXT,
    answer=st.none() | TEXT,
    parsed=st.booleans(),
    gold_in_prompt=st.booleans(),
    prompt_hash=TEXT,
    prompt_tokens=WHOLE,
    completion_tokens=WHOLE,
    cost=REAL,
    score=REAL,
    parent=WHOLE,
    first_error=WHOLE,
    graph=st.none() | TEXT,
    licence=st.none() | TEXT,
)
EXAMPLES = st.builds(
    Example,
    v=st.just(1),
    id=TEXT.filter(bool),
    task=TEXT,
    split=TEXT,
    question=TEXT,
    choices=st.none() | st.lists(TEXT, max_size=4),
    context=st.none() | TEXT,
    answer=st.none() | TEXT,
    rationales=st.lists(RATIONALES, max_size=3),
)
ROWS = st.lists(EXAMPLES, min_size=1, max_size=5, unique_by=lambda e: e.id)


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_arrow_gives_the_rows_back(rows: list[Example]) -> None:
    assert from_table(to_table(rows)) == rows


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_jsonl_gives_the_rows_back(rows: list[Example]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.jsonl"
        write_jsonl(path, rows)
        assert read_jsonl(path) == (rows, [])
