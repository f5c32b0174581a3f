"""Graphs in files: JSONL for people, Parquet for machines, and examples that carry graphs."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collegium.atomic import atomic_path
from collegium.errors import DataError
from collegium.example import Example
from collegium.example_io import VERSION_KEY as EXAMPLE_KEY
from collegium.example_io import read_examples
from collegium.graphs.graph import VERSION, ThoughtGraph
from collegium.jsonl import json_lines, json_object

if TYPE_CHECKING:
    import pyarrow as pa

VERSION_KEY = b"collegium.graph"


def schema() -> pa.Schema:
    """Return the Arrow schema of graphs, the version in its metadata."""
    import pyarrow as pa

    text, real, truth = pa.string(), pa.float64(), pa.bool_()
    alternative = pa.struct([("option", text), ("reason_rejected", text)])
    node = pa.struct(
        [
            *((name, text) for name in ("id", "kind", "text", "why")),
            ("alternatives", pa.list_(alternative)),
            ("contributes", text),
            ("correct", truth),
            ("weight", real),
            ("span", pa.list_(pa.int64(), 2)),
        ]
    )
    edge = pa.struct([(name, text) for name in ("src", "dst", "kind")])
    answer = pa.struct([("value", text), ("checker", text), ("verified", truth)])
    source = pa.struct(
        [
            *((name, text) for name in ("model", "prompt_hash")),
            ("seed", pa.int64()),
            ("finish", text),
            ("repairs", pa.map_(text, pa.int64())),
        ]
    )
    fields = [
        *((name, text) for name in ("v", "id", "problem", "problem_lang")),
        ("answer", answer),
        ("nodes", pa.list_(node)),
        ("edges", pa.list_(edge)),
        ("teacher", source),
        ("license", text),
    ]
    return pa.schema(fields, metadata={VERSION_KEY: VERSION.encode()})


def to_table(graphs: Sequence[ThoughtGraph]) -> pa.Table:
    """Return the graphs as an Arrow table of `schema`."""
    import pyarrow as pa

    try:
        return pa.Table.from_pylist([_arrow_row(graph) for graph in graphs], schema=schema())
    except (pa.ArrowException, OverflowError) as error:
        raise DataError(f"graphs do not fit the schema: {str(error)[:160]}") from None


def from_table(table: pa.Table, *, where: str = "table") -> list[ThoughtGraph]:
    """Return the graphs of an Arrow table; `where` names it in errors.

    Raises:
        DataError: another version, or a row that does not fit.
    """
    version = (table.schema.metadata or {}).get(VERSION_KEY, b"none").decode()
    if version != VERSION:
        raise DataError(
            f"{where}: expected thought graphs of version {VERSION!r} (collegium.graph in the "
            f"metadata), found {version!r}"
        )
    return [
        ThoughtGraph.from_values(_json_row(values), where=f"{where}, row {number}")
        for number, values in enumerate(table.to_pylist(), 1)
    ]


def _arrow_row(graph: ThoughtGraph) -> dict[str, Any]:
    row = graph.model_dump()
    if row["teacher"] and row["teacher"]["repairs"] is not None:
        row["teacher"]["repairs"] = sorted(row["teacher"]["repairs"].items())
    return row


def _json_row(row: dict[str, Any]) -> dict[str, Any]:
    source = row.get("teacher")
    if isinstance(source, dict) and source.get("repairs") is not None:
        source["repairs"] = dict(source["repairs"])
    return row


def write_graphs(path: str | Path, graphs: Iterable[ThoughtGraph]) -> None:
    """Write graphs atomically: Parquet where the name ends so, else JSONL (``.gz``: gzipped).

    Raises:
        DataError: the file cannot be written.
    """
    path = Path(path)
    with atomic_path(path) as partial:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            pq.write_table(to_table(list(graphs)), partial, compression="zstd")
            return
        with partial.open("wb") as plain:
            rows = (graph.to_json().encode() + b"\n" for graph in graphs)
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=plain, mode="wb", filename="", mtime=0) as packed:
                    packed.writelines(rows)
            else:
                plain.writelines(rows)


def read_graphs(path: str | Path) -> list[ThoughtGraph]:
    """Read graphs from Parquet or JSONL, or those that the rationales of examples carry.

    Raises:
        DataError: the file cannot be read, holds no graph, or a row does not fit (file and line).
    """
    path = Path(path)
    graphs = list(_parquet(path) if path.suffix == ".parquet" else _jsonl(path))
    if not graphs:
        raise DataError(f"{path}: the file holds no thought graphs")
    return graphs


def graphs_of(example: Example) -> Iterator[tuple[int, ThoughtGraph]]:
    """Yield number of the rationale and graph for each rationale that carries one.

    Raises:
        DataError: a graph's text is damaged.
    """
    for number, entry in enumerate(example.rationales):
        if entry.graph is not None:
            where = f"example {example.id!r}, rationales[{number}].graph"
            yield number, ThoughtGraph.from_json(entry.graph, where=where)


def _jsonl(path: Path) -> Iterator[ThoughtGraph]:
    for line, raw in json_lines(path):
        values = json_object(path, line, raw)
        if "rationales" in values or isinstance(values.get("v"), int):
            yield from (graph for e in read_examples(path) for _, graph in graphs_of(e))
            return
        yield ThoughtGraph.from_values(values, where=f"{path}, line {line}")


def _parquet(path: Path) -> Iterator[ThoughtGraph]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({str(error)[:160]})") from None
    if EXAMPLE_KEY in (table.schema.metadata or {}):
        yield from (graph for e in read_examples(path) for _, graph in graphs_of(e))
    else:
        yield from from_table(table, where=str(path))
