"""Examples in files: what goes out comes back, and what does not fit is refused by name."""

from __future__ import annotations

import gzip
import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collegium.errors import DataError
from collegium.example import Example, Rationale
from collegium.example_io import (
    from_table,
    read_examples,
    read_jsonl,
    read_parquet,
    to_table,
    write_jsonl,
    write_parquet,
)

FULL = Rationale(
    teacher="palm",
    sample=2,
    text="Weil 84 / 2 = 42 ist – naïve 推理 🎓.",
    answer="(84 / 2)",
    parsed=True,
    gold_in_prompt=True,
    prompt_hash="00ff",
    prompt_tokens=120,
    completion_tokens=17,
    cost=0.25,
    score=-1.5,
    parent=1,
    first_error=0,
    graph="{}",
    licence="Apache-2.0",
)
EXAMPLES = [
    Example(
        id="a",
        task="obqa",
        split="train",
        question="Why?\nBecause\t…",
        choices=["x", ""],
        context="c",
        answer="x",
        rationales=[FULL, Rationale(teacher="t", text="", parsed=False, prompt_hash="")],
    ),
    Example(id="b", task="svamp", split="test", question=""),
    Example(id="c", task="svamp", split="test", question="q", choices=[], answer=""),
]


def row(**changes: object) -> dict:
    return {"v": 1, "id": "a", "task": "t", "split": "train", "question": "q", **changes}


def lines(path: Path, *rows: object) -> Path:
    texts = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows]
    path.write_bytes(b"\n".join(texts) + b"\n")
    return path


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.parquet"])
def test_rows_come_back_unchanged(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    (write_parquet if name.endswith("parquet") else write_jsonl)(path, EXAMPLES)
    assert read_examples(path) == EXAMPLES
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.parquet"])
def test_same_rows_same_bytes(tmp_path: Path, name: str) -> None:
    write = write_parquet if name.endswith("parquet") else write_jsonl
    write(tmp_path / name, EXAMPLES)
    first = (tmp_path / name).read_bytes()
    write(tmp_path / name, EXAMPLES)
    assert (tmp_path / name).read_bytes() == first


def test_datasets_reads_the_parquet_file(tmp_path: Path) -> None:
    write_parquet(tmp_path / "x.parquet", EXAMPLES)
    code = (
        "import sys, json; from datasets import Dataset; "
        "d = Dataset.from_parquet(sys.argv[1], cache_dir=sys.argv[2]); print(json.dumps(list(d)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.parquet"), str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named 'datasets'" in done.stderr:
        pytest.skip("datasets is not installed")
    assert done.returncode == 0, done.stderr
    assert [Example.model_validate(r) for r in json.loads(done.stdout)] == EXAMPLES


def test_a_parquet_file_without_rows_is_a_file_of_no_examples(tmp_path: Path) -> None:
    write_parquet(tmp_path / "x.parquet", [])
    assert read_parquet(tmp_path / "x.parquet") == []


def test_large_and_dictionary_strings_are_read() -> None:
    table = to_table(EXAMPLES)
    place = table.schema.get_field_index("question")
    for other in (pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        column = table.column("question").cast(pa.string()).combine_chunks()
        column = column.dictionary_encode() if pa.types.is_dictionary(other) else column.cast(other)
        changed = table.set_column(place, "question", column)
        assert from_table(changed.replace_schema_metadata(table.schema.metadata)) == EXAMPLES


BAD_ROWS = {
    "version": (row(v=2), "field 'v': expected schema version 1, found 2"),
    "missing": (
        {"v": 1, "id": "a", "task": "t", "split": "s", "qestion": "q"},
        "field 'question': missing. Did you mean 'qestion'?",
    ),
    "unknown": (row(anwser="x"), "unknown field 'anwser'. Did you mean 'answer'?"),
    "type": (row(answer=7), "field 'answer': expected text, found 7"),
    "empty id": (row(id=""), "field 'id': expected text that is not empty, found ''"),
    "list": (row(choices="x"), "field 'choices': expected a list, found 'x'"),
    "item": (row(choices=["x", None]), "field 'choices[1]': expected text, found null"),
    "nested": (
        row(rationales=[{"teacher": "t", "text": "x", "parsed": "yes", "prompt_hash": ""}]),
        "field 'rationales[0].parsed': expected true or false, found 'yes'",
    ),
    "sample": (
        row(rationales=[{**FULL.model_dump(), "sample": -1}]),
        "field 'rationales[0].sample': expected a number of 0 or more, found -1",
    ),
    "no object": ([1], "expected a JSON object, found a list"),
    "no json": (b'{"v": 1, "id": ', "not valid JSON"),
    "utf-8": (b'{"v": 1, "id": "\xff"}', "expected UTF-8, found byte 0xff at position 17"),
    "surrogate": (b'{"v": 1, "id": "\\ud800"}', "half of a surrogate pair"),
    "deep": (b"[" * 100_000, "expected a JSON object"),
    "repeated": (row(id="ok"), "field 'id': expected a new id, found 'ok' again (first in line 1)"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_refused_by_file_line_and_field(tmp_path: Path, kind: str) -> None:
    bad, message = BAD_ROWS[kind]
    path = lines(tmp_path / "x.jsonl", row(id="ok"), b"", bad, row(id="late"))
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read_jsonl(path)
    assert str(caught.value).startswith(f"{path}, line 3")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    good, left_out = read_jsonl(path, skip_bad_rows=True)
    assert [e.id for e in good] == ["ok", "late"]
    assert [(b.path, b.line) for b in left_out] == [(path, 3)]
    assert message in str(left_out[0])


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", b"\xef\xbb\xbf" + json.dumps(row()).encode())
    assert read_jsonl(path)[0][0].id == "a"


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_empty_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"\n\n") if name.endswith("gz") else b"")
    with pytest.raises(DataError, match="the file holds no rows"):
        read_jsonl(path)


def test_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    write_jsonl(path, EXAMPLES)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="damaged or truncated gzip data"):
        read_jsonl(path)


@pytest.mark.parametrize("left", [0, 3, 100, -1])
def test_truncated_parquet_is_refused(tmp_path: Path, left: int) -> None:
    path = tmp_path / "x.parquet"
    write_parquet(path, EXAMPLES)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_parquet(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_jsonl(tmp_path / "x.jsonl")


def test_parquet_of_another_kind_is_refused(tmp_path: Path) -> None:
    path, table = tmp_path / "x.parquet", to_table(EXAMPLES)
    metadata = table.schema.metadata

    def refused(changed: pa.Table, message: str, keep_version: bool = True) -> None:
        if keep_version:
            changed = changed.replace_schema_metadata(metadata)
        pq.write_table(changed, path)
        with pytest.raises(DataError, match=re.escape(message)):
            read_parquet(path)

    refused(table.replace_schema_metadata({"collegium.v": "2"}), "found version 2", False)
    refused(table.replace_schema_metadata(None), "found no version", False)
    refused(table.drop_columns("question"), "no column 'question'. Found: v, id")
    names = ["qestion" if n == "question" else n for n in table.column_names]
    refused(table.rename_columns(names), "no column 'question'. Did you mean 'qestion'?")
    refused(table.append_column("more", pa.array([1, 2, 3])), "unknown column 'more'")
    place = table.schema.get_field_index("answer")
    wrong = table.set_column(place, "answer", pa.array([[1], [2], [3]]))
    refused(wrong, "column 'answer': expected string")
    twice = pa.concat_tables([table, table])
    refused(twice, "row 4, field 'id': expected a new id, found 'a' again (first in line 1)")
    place = table.schema.get_field_index("id")
    null = table.set_column(place, pa.field("id", pa.string()), pa.array(["a", None, "c"]))
    refused(null, "row 2, field 'id': expected text, found null")


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet"])
def test_repeated_ids_are_not_written(tmp_path: Path, name: str) -> None:
    write = write_parquet if name.endswith("parquet") else write_jsonl
    write(tmp_path / name, EXAMPLES)
    with pytest.raises(DataError, match="the id 'a' occurs twice"):
        write(tmp_path / name, [*EXAMPLES, EXAMPLES[0]])
    assert read_examples(tmp_path / name) == EXAMPLES
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.parquet"])
def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write = write_parquet if name.endswith("parquet") else write_jsonl
    write(path, EXAMPLES)
    noise = [
        Example(id=f"n{i}", task="t", split="s", question=str(hash((i, "x"))) * 20)
        for i in range(2000)
    ]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, limits[1]))
    try:
        with pytest.raises(DataError, match=r"cannot be written: File too large.*is unchanged"):
            write(path, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_examples(path) == EXAMPLES
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere/x\.parquet: cannot be written: No such file"):
        write_parquet(tmp_path / "nowhere" / "x.parquet", EXAMPLES)


def test_numbers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    big = EXAMPLES[0].model_copy(
        update={"rationales": [FULL.model_copy(update={"prompt_tokens": 2**70})]}
    )
    with pytest.raises(DataError, match="do not fit the schema"):
        write_parquet(tmp_path / "x.parquet", [big])
    with pytest.raises(ValueError, match="finite"):
        Rationale(teacher="t", text="", parsed=True, prompt_hash="", score=float("nan"))


def test_the_model_alone_loads_no_pyarrow() -> None:
    code = (
        "import collegium.example, sys; print('pyarrow' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
