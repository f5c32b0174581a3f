"""The run directory: outputs found again by content, made whole or not at all."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collegium.digest import digest_path
from collegium.errors import RunError
from collegium.pipeline.progress import Silent
from collegium.pipeline.store import UNKNOWN, Output, Store

Open = Callable[..., Store]


class Counting:
    """A stage whose output is a text, and which counts how often it was made."""

    def __init__(self, text: str = "x") -> None:
        self.text = text
        self.made = 0

    def __call__(self, work: Path) -> dict[str, Any]:
        self.made += 1
        (work / "out.txt").write_text(self.text)
        return {"length": len(self.text)}


def ask(store: Store, produce: Any, **changed: Any) -> Output:
    key: dict[str, Any] = {"version": 1, "options": {"a": 1}, "inputs": {"i": "d"}, **changed}
    return store.stage("s", produce=produce, **key)


@pytest.fixture
def open_store() -> Iterator[Callable[..., Store]]:
    stores = []

    def opened(root: Path, **options: Any) -> Store:
        stores.append(Store(root, "recipe", Silent(), **options))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


def test_an_output_is_made_once(tmp_path: Path, open_store: Open) -> None:
    produce = Counting()
    for _ in range(2):
        store = open_store(tmp_path / "run")
        output = ask(store, produce)
        store.close()
    assert produce.made == 1
    assert output.kept
    assert output.summary == {"length": 1}
    assert (output.path / "out.txt").read_text() == "x"


@pytest.mark.parametrize("changed", [{"version": 2}, {"options": {"a": 2}}, {"inputs": {"i": "e"}}])
def test_whatever_it_depends_on_changes_its_place(
    tmp_path: Path, open_store: Open, changed: dict
) -> None:
    store, produce = open_store(tmp_path / "run"), Counting()
    assert ask(store, produce).path != ask(store, produce, **changed).path
    assert produce.made == 2


def test_force_makes_it_again(tmp_path: Path, open_store: Open) -> None:
    produce = Counting()
    open_store(tmp_path / "run").close()
    for _ in range(2):
        store = open_store(tmp_path / "run", force=True)
        ask(store, produce)
        ask(store, produce)
        store.close()
    assert produce.made == 2


def test_a_killed_stage_leaves_no_output_and_finds_its_work_again(
    tmp_path: Path, open_store: Open
) -> None:
    store = open_store(tmp_path / "run")

    def killed(work: Path) -> dict[str, Any]:
        (work / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(store, killed)
    assert not list((tmp_path / "run" / "stages").glob("s-*"))

    def resumed(work: Path) -> dict[str, Any]:
        return {"found": (work / "half").read_text()}

    assert ask(store, resumed).summary == {"found": "half"}


def test_the_digest_is_of_the_content(tmp_path: Path, open_store: Open) -> None:
    store = open_store(tmp_path / "run")
    first = ask(store, Counting("same"))
    second = ask(store, Counting("same"), options={"a": 2})
    third = ask(store, Counting("other"), options={"a": 3})
    assert first.digest == second.digest != third.digest
    assert digest_path(first.path, leave_out=("stage.json",)) == first.digest


def test_a_full_disk_is_one_clear_error(tmp_path: Path, open_store: Open) -> None:
    store = open_store(tmp_path / "run")
    kept = ask(store, Counting())

    def full(work: Path) -> dict[str, Any]:
        raise RuntimeError("writing failed") from OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RunError, match="no space left") as error:
        ask(store, full, version=2)
    assert str(tmp_path) in str(error.value)
    assert (kept.path / "out.txt").exists()


def test_a_directory_belongs_to_one_recipe(tmp_path: Path, open_store: Open) -> None:
    open_store(tmp_path / "run").close()
    with pytest.raises(RunError, match="made by recipe 'recipe'"):
        Store(tmp_path / "run", "another", Silent())


def test_a_directory_with_other_files_is_refused(tmp_path: Path, open_store: Open) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(RunError, match="not empty"):
        open_store(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="is a file"):
        open_store(tmp_path / "file")


def test_one_process_at_a_time(tmp_path: Path, open_store: Open) -> None:
    first = open_store(tmp_path / "run")
    with pytest.raises(RunError, match="in use"):
        open_store(tmp_path / "run")
    first.close()
    open_store(tmp_path / "run").close()


def test_a_dry_run_makes_nothing(tmp_path: Path, open_store: Open) -> None:
    produce = Counting()
    store = open_store(tmp_path / "run", dry_run=True)
    output = ask(store, produce)
    after = ask(store, produce, inputs={"i": output.digest})
    assert (produce.made, output.digest, after.digest) == (0, UNKNOWN, UNKNOWN)
    assert not (tmp_path / "run").exists()
