"""`collegium report RUN...`: one page over one or several finished runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("report", help="Print the table of finished runs, and write one page over them.")
    def report(
        runs: Annotated[list[Path], typer.Argument(help="Run directories.")],
        out: Annotated[Path | None, typer.Option("--out", help="Write the HTML page here.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    ) -> None:
        from collegium.pipeline.report import read_results
        from collegium.report.page import write_page
        from collegium.report.results import merge
        from collegium.report.table import as_text, table

        results = merge([read_results(run) for run in runs])
        if out is not None:
            write_page(results, out)
        typer.echo(json.dumps(table(results), indent=1) if as_json else as_text(results))
