"""`collegium recipes` and `collegium schema`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
import yaml


def register(app: typer.Typer) -> None:
    """Add both commands."""

    @app.command("recipes", help="List the shipped recipes, or print one.")
    def recipes(
        name: Annotated[str | None, typer.Argument(help="Print this recipe's YAML.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    ) -> None:
        from collegium.errors import RecipeError
        from collegium.recipe_io import shipped_recipes
        from collegium.registry import lookup

        shipped = shipped_recipes()
        if name is not None:
            text = lookup(shipped, name, "recipe", RecipeError)
            typer.echo(json.dumps(yaml.safe_load(text), indent=1) if as_json else text.rstrip())
            return
        rows = {n: " ".join(yaml.safe_load(t)["description"].split()) for n, t in shipped.items()}
        if as_json:
            typer.echo(json.dumps(rows, indent=1))
            return
        for recipe, description in rows.items():
            typer.echo(f"{recipe:28} {description}")

    @app.command("schema", help="Print the JSON Schema of a recipe, or of a task's options.")
    def schema(
        task: Annotated[str | None, typer.Option("--task", help="A task's name.")] = None,
        teacher: Annotated[str | None, typer.Option("--teacher", help="A teacher's kind.")] = None,
    ) -> None:
        from collegium.errors import RecipeError
        from collegium.registry import lookup

        if task is not None:
            from collegium.tasks import TASKS

            model = lookup(TASKS, task, "task", RecipeError).Options
        elif teacher is not None:
            from collegium.teachers import TEACHERS

            model = lookup(TEACHERS, teacher, "kind of teacher", RecipeError)[0]
        else:
            from collegium.recipe import Recipe

            model = Recipe
        typer.echo(json.dumps(model.model_json_schema(), indent=1))
