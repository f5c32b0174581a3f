"""`collegium predict` and `collegium explain`: questions in, the student's answers out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

Checkpoint = Annotated[Path, typer.Argument(help="Directory of a trained student.")]
Question = Annotated[
    list[str] | None, typer.Option("-q", "--question", help="A question; repeatable.")
]
Data = Annotated[
    Path | None, typer.Option("--data", help="JSONL or Parquet file of examples with questions.")
]
Out = Annotated[Path | None, typer.Option("--out", help="Write JSONL here, not to the screen.")]


def register(app: typer.Typer) -> None:
    """Add both commands."""

    @app.command("predict", help="Answer questions directly.")
    def predict(
        checkpoint: Checkpoint, question: Question = None, data: Data = None, out: Out = None
    ) -> None:
        answer(checkpoint, question or [], data, out, teacher=None, explain=False)

    @app.command("explain", help="Explain the answers to questions, in a teacher's way.")
    def explain(
        checkpoint: Checkpoint,
        question: Question = None,
        data: Data = None,
        out: Out = None,
        teacher: Annotated[
            str | None, typer.Option("--teacher", help="Whose way of explaining.")
        ] = None,
    ) -> None:
        answer(checkpoint, question or [], data, out, teacher=teacher, explain=True)


def answer(
    checkpoint: Path,
    questions: list[str],
    data: Path | None,
    out: Path | None,
    *,
    teacher: str | None,
    explain: bool,
) -> None:
    """Load the student, answer, and write one JSON line a question."""
    from collegium.errors import ArgumentError
    from collegium.evaluate.student import Student
    from collegium.example_io import read_examples

    if bool(questions) == (data is not None):
        raise ArgumentError("give questions either with -q or with --data FILE")
    student = Student.load(checkpoint)
    asked = read_examples(data) if data is not None else questions
    found = student.explain(asked, teacher=teacher) if explain else student.predict(asked)
    lines = [json.dumps(p.to_json(), ensure_ascii=False) for p in found]
    if out is None:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    else:
        temporary = out.with_name(f".{out.name}.tmp")
        temporary.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        temporary.replace(out)
