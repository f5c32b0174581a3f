"""Mappings that a user wrote, checked against a pydantic model, with errors that say what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from collegium.errors import RecipeError
from collegium.registry import nearest

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], tree: Mapping[str, Any], where: str) -> Model:
    """Validate a mapping against a pydantic model.

    Raises:
        RecipeError: names the key, what was expected, what was found and the nearest valid key.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise RecipeError(f"{where}: {explain(error, model)}") from None


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Turn the first problems of a pydantic error into one sentence each."""
    problems = error.errors(include_url=False, include_context=False)
    unknown = [p for p in problems if p["type"] == "extra_forbidden"]
    sentences = []
    for problem in (unknown or problems)[:3]:
        loc = [str(part) for part in problem["loc"]]
        dotted = ".".join(loc)
        if problem["type"] == "extra_forbidden":
            known = _keys_at(model, loc[:-1])
            sentences.append(
                f"unknown key {dotted!r}.{nearest(loc[-1], known)} Known there: {', '.join(known)}"
            )
        elif problem["type"] == "missing":
            sentences.append(f"{dotted} is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            found = "" if problem["type"] == "value_error" else f", found {problem['input']!r}"
            sentences.append(f"{dotted}: {message}{found}" if dotted else message)
    return "; ".join(sentences) + ("." if not sentences[-1].endswith(".") else "")


def _keys_at(model: type[BaseModel], loc: list[str]) -> list[str]:
    current: type[BaseModel] = model
    for part in loc:
        info = current.model_fields.get(part)
        found = _model_in(info.annotation) if info is not None else None
        current = found or current
    return sorted(current.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
