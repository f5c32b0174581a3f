"""Source files: what is wrong with them is said by file, line and field."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collegium.errors import DataError
from collegium.tasks import open_task
from collegium.tasks.sources import carve, read_rows

ROW = {"id": "a", "input": "How many", "label": "( 1 + 1 )"}


def folder(tmp_path: Path, **files: list[dict]) -> Path:
    for name, rows in files.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def numbered(count: int, name: str, **changes: object) -> list[dict]:
    return [{**ROW, "id": f"{name}-{i}", **changes} for i in range(count)]


def test_carving() -> None:
    held_out, rest = carve(801)
    assert (len(held_out), len(rest)) == (81, 720)
    assert sorted(held_out + rest) == list(range(801))
    assert carve(801) == (held_out, rest)
    assert carve(801, seed=1)[0] != held_out
    assert carve(1) == ([0], [])


def test_a_validation_file_is_used_as_it_is(tmp_path: Path) -> None:
    data = folder(tmp_path, train=numbered(9, "t"), dev=numbered(4, "v"), test=numbered(3, "x"))
    splits = open_task("svamp", data).load()
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [9, 4, 3]
    assert [e.id for e in splits["train"]] == [f"t-{i}" for i in range(9)]


def test_without_one_a_tenth_is_held_out(tmp_path: Path) -> None:
    data = folder(tmp_path, train=numbered(95, "t"), test=numbered(3, "x"))
    splits = open_task("svamp", data).load()
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [85, 10, 3]


def test_a_single_file_is_cut_in_three(tmp_path: Path) -> None:
    data = folder(tmp_path, mine=numbered(50, "m")) / "mine.jsonl"
    task = open_task("svamp", data)
    splits = task.load()
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [40, 5, 5]
    assert list(task.source_files()) == [data]
    folder(tmp_path, mine=numbered(2, "m"))
    with pytest.raises(DataError, match=r"too few rows .*nothing is left for train"):
        task.load()


def test_full_esnli_is_used_as_published(tmp_path: Path) -> None:
    row = {"premise": "p", "hypothesis": "h", "label": "neutral"}
    for split, count in {"train": 12, "valid": 5, "test": 3}.items():
        rows = [json.dumps({"id": f"{split}-{i}", **row}) for i in range(count)]
        (tmp_path / f"{split}.jsonl.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    splits = open_task("esnli", tmp_path).load()
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [12, 5, 3]


def test_parquet_sources(tmp_path: Path) -> None:
    for split in ("train", "test"):
        rows = pa.Table.from_pylist(numbered(10, split))
        pq.write_table(rows, tmp_path / f"{split}.parquet")
    assert len(open_task("svamp", tmp_path).load()["train"]) == 9
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"train\.parquet: not a readable Parquet file"):
        open_task("svamp", tmp_path).load()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": 3}, "line 2, field 'label': expected text, found 3"),
        ({"label": None}, "line 2, field 'label': expected text, found null"),
        ({"id": ""}, "line 2: id: .*at least 1 character"),
        ({"id": "t-0"}, r"line 2: the id 't-0' was there before \(.*train\.jsonl, line 1\)"),
        ({"teachers": []}, "line 2, field 'teachers': expected a mapping"),
        (
            {"teachers": {"palm": {"rational": "x"}}},
            "no field 'rationale'. Did you mean 'rational'",
        ),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, changes: dict, message: str) -> None:
    rows = numbered(5, "t")
    rows[1] |= changes
    data = folder(tmp_path, train=rows, test=numbered(3, "x"))
    task = open_task("svamp", data)
    with pytest.raises(DataError, match=rf"train\.jsonl, .*{message}"):
        task.load()
        list(task.recordings())


def test_a_missing_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    rows = [{"id": f"{i}", "inptu": "q", "label": "1"} for i in range(9)]
    data = folder(tmp_path, train=rows, test=numbered(3, "x"))
    with pytest.raises(DataError, match=r"line 1: no field 'input'\. Did you mean 'inptu'"):
        open_task("svamp", data).load()


def test_ids_are_unique_over_splits(tmp_path: Path) -> None:
    data = folder(tmp_path, train=numbered(5, "t"), test=numbered(5, "t"))
    with pytest.raises(DataError, match=r"test\.jsonl, line 1: the id .* was there before"):
        open_task("svamp", data).load()


def test_choices_and_labels_have_to_agree(tmp_path: Path) -> None:
    row = {"question": "q", "choices": ["x", "y"], "label": "z"}
    rows = [{"id": f"r{i}", **row} for i in range(4)]
    with pytest.raises(DataError, match="expected the text of one of the choices"):
        open_task("obqa", folder(tmp_path, train=rows, test=rows)).load()
    rows = [{"id": f"r{i}", "premise": "p", "hypothesis": "h", "label": "1"} for i in range(4)]
    with pytest.raises(DataError, match="expected one of entailment, neutral, contradiction"):
        open_task("esnli", folder(tmp_path, train=rows, test=rows)).load()
    rows = [{"id": "r", "question": "q", "choices": ["x", 1], "label": "x"}] * 4
    with pytest.raises(DataError, match="'choices': expected a list of texts"):
        open_task("obqa", folder(tmp_path, train=rows, test=rows)).load()


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    (tmp_path / "tarin.jsonl").write_text("{}")
    with pytest.raises(DataError, match=r"expected a file train\.jsonl .*found tarin\.jsonl"):
        open_task("svamp", tmp_path).load()
    (tmp_path / "train.jsonl").write_text("\n")
    (tmp_path / "test.jsonl").write_text("{}")
    with pytest.raises(DataError, match=r"train\.jsonl: the file holds no rows"):
        open_task("svamp", tmp_path).load()
    (tmp_path / "train.jsonl").unlink()
    packed = gzip.compress(b"\n".join(json.dumps(r).encode() for r in numbered(50, "t")))
    (tmp_path / "train.jsonl.gz").write_bytes(packed[:-20])
    with pytest.raises(DataError, match="damaged or truncated gzip"):
        open_task("svamp", tmp_path).load()
    (tmp_path / "train.jsonl.gz").write_bytes(b"no gzip at all")
    with pytest.raises(DataError, match="damaged or truncated gzip"):
        list(read_rows(tmp_path / "train.jsonl.gz"))


def test_recordings_from_elsewhere(tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    other.mkdir()
    task = open_task("svamp", folder(data, train=numbered(5, "t"), test=numbered(3, "x")))
    said = {"palm": {"rationale": "because", "label": "(1 + 1)", "parsed": True}}
    folder(other, test=numbered(2, "x", teachers=said))
    assert [r.id for r in task.recordings(other)] == ["x-0", "x-1"]
    assert [r.teacher for r in task.recordings(other / "test.jsonl")] == ["palm", "palm"]
    with pytest.raises(DataError, match="does not exist"):
        list(task.recordings(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="expected a file train"):
        (tmp_path / "empty").mkdir()
        list(task.recordings(tmp_path / "empty"))
