"""Recipes: strict, helpful about mistakes, and the same whichever way a key is set."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from collegium.errors import RecipeError
from collegium.recipe_io import (
    apply_options,
    build_recipe,
    expand,
    for_arm,
    load_recipe,
    parse_option,
    shipped_recipes,
)

MINIMAL = {"name": "r", "student": "somewhere"}


def test_shipped_recipes_are_valid_and_described() -> None:
    shipped = shipped_recipes()
    assert {
        "quickstart",
        "standard_finetuning",
        "standard_distillation",
        "distilling_step_by_step",
        "tinyllm",
    } <= set(shipped)
    for name in shipped:
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.description
        assert recipe.task.data is None


def test_nothing_in_the_code_knows_the_quickstart() -> None:
    package = Path(__file__).parents[2] / "python" / "collegium"
    named = [p for p in package.rglob("*.py") if "quickstart" in p.read_text("utf-8").lower()]
    assert named == []


def test_student_is_short_for_its_checkpoint() -> None:
    assert build_recipe(MINIMAL, "r").student.checkpoint == "somewhere"
    long = build_recipe({"name": "r", "student": {"checkpoint": "somewhere"}}, "r")
    assert long == build_recipe(MINIMAL, "r")


def test_a_checkpoint_replaces_the_recipes_configuration() -> None:
    recipe = load_recipe("tinyllm", ["student=DIR"])
    assert (recipe.student.checkpoint, recipe.student.config) == ("DIR", None)
    recipe = load_recipe("tinyllm", ["student.checkpoint=DIR"])
    assert (recipe.student.checkpoint, recipe.student.tokenizer) == ("DIR", None)


def test_a_configuration_keeps_the_recipes_tokenizer_until_one_is_given() -> None:
    recipe = load_recipe("tinyllm", ["student.config=t5_mini", "student.tokenizer=PATH"])
    assert (recipe.student.config, recipe.student.tokenizer) == ("t5_mini", "PATH")


def test_dotted_and_nested_overrides_are_the_same() -> None:
    tree = expand({"a.b.c": 1, "a.b": {"d": 2}})
    assert tree == {"a": {"b": {"c": 1, "d": 2}}}
    assert apply_options({"a": {"b": 1, "c": 2}}, {"a.b": 3}) == {"a": {"b": 3, "c": 2}}


def test_options_do_not_change_what_they_are_applied_to() -> None:
    tree = {"train": {"objectives": {"label": 1.0}}}
    apply_options(tree, {"train.objectives.rationale": 2.0})
    assert tree == {"train": {"objectives": {"label": 1.0}}}


def test_values_are_read_as_yaml() -> None:
    assert parse_option("a.b=[1, 2]") == ("a.b", [1, 2])
    assert parse_option("a=x=y") == ("a", "x=y")
    recipe = build_recipe(apply_options(MINIMAL, {"train.learning_rate": "1e-3"}), "r")
    assert recipe.train.learning_rate == 1e-3


def test_an_objective_may_be_a_number_or_a_section() -> None:
    recipe = build_recipe(
        {
            **MINIMAL,
            "train": {"objectives": {"label": 1, "rationale": {"weight": 2, "distill": 3}}},
        },
        "r",
    )
    assert recipe.train.objectives["label"].weight == 1
    assert recipe.train.objectives["rationale"].distill == 3
    changed = apply_options(
        {**MINIMAL, "train": {"objectives": {"label": 1.0}}},
        {"train.objectives.label.distill": 2.0},
    )
    label = build_recipe(changed, "r").train.objectives["label"]
    assert (label.weight, label.distill) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("tree", "parts"),
    [
        ({"trian": {}}, ("'trian'", "'train'")),
        ({"train": {"max_step": 1}}, ("'train.max_step'", "'max_steps'")),
        ({"train": {"objectives": {"label": {"wieght": 1}}}}, ("wieght", "'weight'")),
        ({"train": {"distributions": {"temprature": 1}}}, ("temprature", "'temperature'")),
        ({"student": {}}, ("student", "exactly one")),
        ({"student": {"config": "x"}}, ("student.tokenizer",)),
        ({"train": {"batch_size": 0}}, ("train.batch_size", "0")),
        ({"evaluate": {"modes": ["lable"]}}, ("evaluate.modes", "'lable'")),
        ({"arms": {"a": {"train.max_step": 1}}}, ("arm a", "max_steps")),
        ({"arms": {"a": {"seed": 1}}}, ("arm a", "seed")),
    ],
)
def test_mistakes_name_the_key_and_the_nearest(tree: dict, parts: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError) as error:
        build_recipe(expand({**MINIMAL, **tree}), "recipe r")
    assert all(part in str(error.value) for part in parts), error.value
    assert "\n" not in str(error.value)


def test_a_missing_student_is_named() -> None:
    with pytest.raises(RecipeError, match="student is missing"):
        build_recipe({"name": "r"}, "r")


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("train: [1\nx: 2")
    with pytest.raises(RecipeError, match=r"bad\.yaml, line"):
        load_recipe(bad)
    bad.write_text("- 1")
    with pytest.raises(RecipeError, match="expected a mapping"):
        load_recipe(bad)
    with pytest.raises(RecipeError, match="Did you mean 'quickstart'"):
        load_recipe("quickstrat")


def test_an_arm_is_the_recipe_with_its_overrides() -> None:
    tree = {
        **MINIMAL,
        "train": {"max_steps": 5, "objectives": {"label": 1.0}},
        "arms": {"a": {}, "b": {"train.max_steps": 7, "train.objectives.rationale": 2.0}},
        "seeds": [3, 4],
    }
    recipe = build_recipe(expand(tree), "r")
    first, second = for_arm(recipe, "a", 3), for_arm(recipe, "b", 4)
    assert (first.train.max_steps, first.seed, first.arms, first.seeds) == (5, 3, {}, [])
    assert (second.train.max_steps, second.seed) == (7, 4)
    assert set(second.train.objectives) == {"label", "rationale"}


def test_a_recipe_survives_being_written_and_read(tmp_path: Path) -> None:
    recipe = load_recipe("quickstart")
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(exclude_unset=True)))
    assert load_recipe(path) == recipe
