"""`collegium clean`: verify, clean and de-duplicate rationales, of files or of a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from collegium.cli.run import DryRun, Force, Json, Options, RunDir, execute

RECIPES = (".yaml", ".yml")


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(
        "clean",
        help="Verify, clean and de-duplicate rationales: of a JSONL or Parquet file of examples, "
        "of a task's folder with recorded ones, or of a recipe (its stages up to `clean`).",
    )
    def clean(
        source: Annotated[
            str, typer.Argument(help="Examples (.jsonl, .parquet), a task's folder, or a recipe.")
        ],
        out: Annotated[
            Path | None, typer.Option("--out", help="Files: folder for what is kept and counted.")
        ] = None,
        task: Annotated[
            str | None, typer.Option("--task", help="Files: the task whose answers they hold.")
        ] = None,
        label_source: Annotated[
            str,
            typer.Option(
                "--label-source", help="Files: `gold`, `vote` (of the teachers) or teacher:NAME."
            ),
        ] = "gold",
        threshold: Annotated[
            float, typer.Option("--threshold", help="Files: similarity of near-duplicates.")
        ] = 0.7,
        view: Annotated[
            str, typer.Option("--view", help="Files: `words`, `chars` or `canonical`.")
        ] = "words",
        keep: Annotated[int, typer.Option("--keep", help="Files: kept of each cluster.")] = 1,
        diverse: Annotated[
            int, typer.Option("--diverse", help="Files: kept of each question and answer at most.")
        ] = 0,
        memory: Annotated[
            str | None, typer.Option("--memory", help="Files: memory for it, such as 2GiB.")
        ] = None,
        keep_removed: Annotated[
            bool, typer.Option("--keep-removed", help="Files: write removed.jsonl as well.")
        ] = False,
        skip_bad_rows: Annotated[
            bool, typer.Option("--skip-bad-rows", help="Files: leave bad rows out, and list them.")
        ] = False,
        option: Options = None,
        run: RunDir = None,
        force: Force = False,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        path = Path(source)
        if not path.exists() or path.suffix in RECIPES:
            execute(source, option or [], run, force, dry_run, None, as_json, "clean")
            return

        from collegium.pipeline.clean_files import clean_files
        from collegium.pipeline.counts import table
        from collegium.recipe import CleanSection
        from collegium.validation import validate

        values = {
            "complete_sentences": True,
            "drop_loops": True,
            "drop_other_options": True,
            "threshold": threshold,
            "view": view,
            "keep": keep,
            "diverse": diverse,
            "memory": memory,
        }
        summary = clean_files(
            path,
            out,
            validate(CleanSection, values, "clean"),
            task_name=task,
            label_source=label_source,
            keep_removed=keep_removed,
            skip_bad_rows=skip_bad_rows,
        )
        if as_json:
            typer.echo(json.dumps(summary, indent=1, ensure_ascii=False))
            return
        typer.echo(table(summary))
        for row in summary["rows_left_out"]:
            typer.echo(f"left out: {row}")
