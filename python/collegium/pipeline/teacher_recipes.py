"""Teachers that a recipe trains itself have recipes of their own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from collegium.recipe import Recipe
from collegium.recipe_io import apply_options, build_recipe, expand, load_recipe


def teacher_recipe(
    base: Recipe, recipe: Recipe, section: dict[str, Any] | str, tokenizer: Callable[[], str]
) -> Recipe:
    """Return a teacher's own recipe: `base`, with the teacher's `train` section on top.

    It inherits the tokenizer, since distributions need the same one, and has no distributions,
    arms or seeds of its own. A section that names a recipe stands alone.
    """
    if isinstance(section, str):
        tree = load_recipe(section).model_dump(exclude_unset=True)
    else:
        parent = base.model_dump(exclude_unset=True)
        for key in ("arms", "seeds", "seed"):
            parent.pop(key, None)
        if parent.get("teachers"):
            parent["teachers"] = {
                name: teacher
                for name, teacher in parent["teachers"].items()
                if not teacher.get("train")
            }
        # The parent's optimisation is not the teacher's; whether gold may be read is.
        parent["train"] = {"label_source": recipe.train.label_source}
        tree = apply_options(parent, expand(copy.deepcopy(section)))
        student = tree.get("student")
        if isinstance(student, dict) and "config" in student:
            student["tokenizer"] = tokenizer()
    return build_recipe(tree, f"recipe {recipe.name}, a teacher's train section")
