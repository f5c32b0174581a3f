"""`collegium run RECIPE`, and the same up to one stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

Recipe = Annotated[str, typer.Argument(help="A shipped recipe's name or a YAML file.")]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "-o", "--option", metavar="KEY=VALUE", help="Set a key of the recipe; repeatable."
    ),
]
RunDir = Annotated[
    Path | None, typer.Option("--run", help="Run directory; default: runs/<recipe>.")
]
Force = Annotated[bool, typer.Option("--force", help="Run every stage again.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell which stages would run.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]

Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", min=1, help="Trainings side by side; default: one a core for small students."
    ),
]

STAGES = {
    "annotate": "Ask the teachers for rationales.",
    "pack": "Annotate and clean, then turn everything into token sequences.",
    "train": "Everything up to the trained student.",
    "evaluate": "Everything up to the measured student.",
}


def register(app: typer.Typer) -> None:
    """Add `run` and one command per stage."""

    @app.command("run", help="Run a recipe from its questions to the report.")
    def run(
        recipe: Recipe,
        option: Options = None,
        run: RunDir = None,
        force: Force = False,
        dry_run: DryRun = False,
        jobs: Jobs = None,
        as_json: Json = False,
    ) -> None:
        execute(recipe, option or [], run, force, dry_run, jobs, as_json, "report")

    for stage, text in STAGES.items():
        _register_stage(app, stage, text)


def _register_stage(app: typer.Typer, stage: str, text: str) -> None:
    @app.command(stage, help=text)
    def command(
        recipe: Recipe,
        option: Options = None,
        run: RunDir = None,
        force: Force = False,
        dry_run: DryRun = False,
        jobs: Jobs = None,
        as_json: Json = False,
    ) -> None:
        execute(recipe, option or [], run, force, dry_run, jobs, as_json, stage)


def execute(
    recipe: str,
    options: list[str],
    run: Path | None,
    force: bool,
    dry_run: bool,
    jobs: int | None,
    as_json: bool,
    until: str,
) -> None:
    """Run a recipe up to a stage and print what came out."""
    from collegium.recipe_io import load_recipe

    # Mistakes in the recipe are told before anything heavy is imported.
    loaded = load_recipe(recipe, options)

    from collegium.pipeline.progress import choose_progress
    from collegium.pipeline.run import run_recipe

    progress = choose_progress(quiet=as_json)
    try:
        outcome = run_recipe(
            loaded,
            run_dir=run,
            force=force,
            dry_run=dry_run,
            jobs=jobs,
            until=until,
            progress=progress,
        )
    finally:
        progress.close()
    if as_json:
        typer.echo(json.dumps(outcome.to_json(), indent=1, ensure_ascii=False))
    else:
        typer.echo(outcome.text())
