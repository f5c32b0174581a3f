"""Recipes from files, names and `key=value` options, with errors that name the key and the fix."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from collegium.errors import RecipeError
from collegium.recipe import Recipe
from collegium.registry import nearest
from collegium.validation import validate

Tree = dict[str, Any]


def shipped_recipes() -> dict[str, str]:
    """Return name to YAML text of the recipes inside the package."""
    folder = resources.files("collegium.recipes")
    return {
        entry.name.removesuffix(".yaml"): entry.read_text("utf-8")
        for entry in sorted(folder.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".yaml")
    }


def read_tree(source: str | Path) -> Tree:
    """Read a recipe's raw mapping: a shipped name or the path of a YAML file.

    Raises:
        RecipeError: neither a shipped name nor a readable YAML mapping.
    """
    shipped = shipped_recipes()
    name = str(source)
    if name in shipped:
        text, where = shipped[name], f"recipe {name}"
    else:
        path = Path(source)
        if not path.is_file():
            raise RecipeError(
                f"no recipe {name!r}: neither a file nor a shipped recipe."
                f"{nearest(name, shipped)} Shipped: {', '.join(shipped)}."
            )
        text, where = path.read_text("utf-8", errors="replace"), str(path)
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise RecipeError(
            f"{where}{line}: not valid YAML: {getattr(error, 'problem', error)}"
        ) from None
    if not isinstance(tree, dict):
        raise RecipeError(f"{where}: expected a mapping of sections, found {type(tree).__name__}")
    tree.setdefault("name", Path(name).stem)
    return tree


def parse_option(option: str) -> tuple[str, Any]:
    """Split ``key=value``; the value is read as YAML.

    Raises:
        RecipeError: there is no `=`, no key, or the value is not valid YAML.
    """
    key, equals, text = option.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"option {option!r}: expected key=value, such as train.max_steps=50")
    try:
        return key.strip(), yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"option {option!r}: the value is not valid YAML") from None


def override(tree: Tree, key: str, value: Any) -> None:
    """Set a dotted key in place; a mapping value is merged into a mapping that is there."""
    *path, last = key.split(".")
    node = tree
    for depth, part in enumerate(path):
        child = node.get(part)
        if child is None:
            child = node[part] = {}
        elif not isinstance(child, dict):
            # `student: DIR` and `label: 1.0` are short for a mapping with one key.
            short = {"student": "checkpoint"}.get(part) or (
                "weight" if path[:2] == ["train", "objectives"] and depth == 2 else None
            )
            if short is None:
                raise RecipeError(
                    f"option {key}: {'.'.join(path[: depth + 1])} has no keys below it"
                )
            child = node[part] = {short: child}
        node = child
    if isinstance(value, dict) and isinstance(node.get(last), dict):
        for inner, inner_value in value.items():
            override(node[last], inner, inner_value)
    else:
        node[last] = expand(value) if isinstance(value, dict) else value


def expand(tree: Mapping[str, Any]) -> Tree:
    """Return a copy in which dotted keys have become nested mappings."""
    out: Tree = {}
    for key, value in tree.items():
        override(out, key, copy.deepcopy(value))
    return out


# A section's keys that exclude each other: setting one on top of a recipe removes the others.
_EXCLUSIVE = (
    ("student", "checkpoint", ("config", "tokenizer")),
    ("student", "config", ("checkpoint",)),
)


def apply_options(tree: Tree, options: Mapping[str, Any]) -> Tree:
    """Return a copy of `tree` with dotted overrides applied in order."""
    out = copy.deepcopy(tree)
    for key, value in options.items():
        if key == "student" and isinstance(value, str):
            out["student"] = value
            continue
        override(out, key, copy.deepcopy(value))
        for section, chosen, others in _EXCLUSIVE:
            if key == f"{section}.{chosen}":
                for other in others:
                    out[section].pop(other, None)
    return out


def load_recipe(source: str | Path, options: Iterable[str] | Mapping[str, Any] = ()) -> Recipe:
    """Load a shipped recipe (by name) or a YAML file, with ``key=value`` options on top.

    Raises:
        RecipeError: unknown recipe or key (with the nearest valid one), or a wrong value.
    """
    pairs = options if isinstance(options, Mapping) else dict(map(parse_option, options))
    return build_recipe(apply_options(expand(read_tree(source)), pairs), str(source))


def build_recipe(tree: Tree, where: str) -> Recipe:
    """Validate a raw mapping, each arm included."""
    recipe = validate(Recipe, tree, where)
    for arm in recipe.arms:
        for_arm(recipe, arm, recipe.seed)
    return recipe


def for_arm(recipe: Recipe, arm: str | None, seed: int) -> Recipe:
    """Return the single-run recipe of one arm and seed."""
    tree = recipe.model_dump(exclude_unset=True)
    overrides = tree.pop("arms", {}).get(arm, {}) if arm is not None else {}
    for key in overrides:
        if key.split(".")[0] in ("arms", "seeds", "seed", "name"):
            raise RecipeError(f"recipe {recipe.name}, arm {arm}: an arm cannot set {key}")
    tree.pop("arms", None)
    tree.pop("seeds", None)
    merged = apply_options(tree, expand(overrides)) if overrides else tree
    merged["seed"] = seed
    return validate(Recipe, merged, f"recipe {recipe.name}, arm {arm}" if arm else recipe.name)
