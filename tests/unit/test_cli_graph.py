"""`collegium graph`: pictures, problems with their places, figures, rows for other trainers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from collegium.cli.main import app
from collegium.errors import ArgumentError, DataError
from collegium.graphs import Edge, ThoughtGraph, read_graphs, write_graphs


@pytest.fixture
def run():
    def call(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["graph", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return call


@pytest.fixture
def file(eggs: ThoughtGraph, tmp_path: Path) -> str:
    broken = eggs.model_copy(
        update={"id": "broken", "edges": (*eggs.edges, Edge(src="s2", dst="s1"))}
    )
    write_graphs(tmp_path / "g.jsonl", [eggs, broken])
    return str(tmp_path / "g.jsonl")


def test_show(run, file: str) -> None:
    assert run("show", file).startswith("flowchart TD")
    assert run("show", file, "--format", "dot").startswith('digraph "eggs"')
    assert json.loads(run("show", file, "--id", "broken", "--format", "json"))["id"] == "broken"
    assert "Mistake: 6 + 2 = 8 ;" in run("show", file, "--format", "text")
    with pytest.raises(DataError, match=r"no graph 'brken'. Did you mean 'broken'\?"):
        run("show", file, "--id", "brken")
    with pytest.raises(ArgumentError, match="expected one of mermaid, dot, json, text"):
        run("show", file, "--format", "png")


def test_check(run, file: str, tmp_path: Path, eggs: ThoughtGraph) -> None:
    out = tmp_path / "mended.parquet"
    said = run("check", file, "--out", str(out), code=2)
    assert "broken: E03 edges[11] (s1): next s2 -> s1 closes a circle" in said
    assert "2 graphs, 1 sound, 2 usable after repair (repairs: E03 1; rejected for: none)" in said
    assert [g.edges for g in read_graphs(out)] == [eggs.edges] * 2
    assert "2 graphs, 2 sound" in run("check", str(out), "--policy", "beluga")
    total = json.loads(run("check", file, "--json", code=2))
    assert total["problems"][0]["code"] == "E03" and total["usable"] == 2
    with pytest.raises(ArgumentError, match="unknown policy 'belugas'"):
        run("check", file, "--policy", "belugas")


def test_stats_and_texts(run, file: str, tmp_path: Path, eggs: ThoughtGraph) -> None:
    write_graphs(tmp_path / "one.jsonl", [eggs])
    one = str(tmp_path / "one.jsonl")
    assert "two paths or more          1.0" in run("stats", one)
    assert json.loads(run("stats", one, "--json"))["graphs"] == 1
    out = tmp_path / "rows.jsonl"
    for form, rows in (("messages", 2), ("dpo", 1), ("steps", 3)):
        assert f"{rows} rows" in run("texts", one, "--out", str(out), "--format", form)
        assert len(out.read_text().splitlines()) == rows
