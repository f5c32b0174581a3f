"""Arithmetic written by models, evaluated without ever running it as code."""

from __future__ import annotations

import ast
import math
import re

_ALLOWED = re.compile(r"[0-9.+\-*/() ]+")
_MAX_CHARACTERS = 400
_MAX_DEPTH = 40
_TOLERANCE = 1e-6


def evaluate(text: str) -> float | None:
    """Return the value of an expression of numbers, ``+ - * /`` and parentheses.

    None stands for everything else: other characters or operators (so also powers and exponents),
    division by zero, a value that no float holds, more than 400 characters, more than 40
    parentheses or operations inside each other.
    """
    flat = " ".join(text.split())
    fits = len(flat) <= _MAX_CHARACTERS and flat.count("(") <= _MAX_DEPTH
    if not fits or not _ALLOWED.fullmatch(flat):
        return None
    try:
        value = _value(ast.parse(flat.strip(), mode="eval").body, 0)
    except (SyntaxError, ValueError, OverflowError, ZeroDivisionError, RecursionError, MemoryError):
        return None
    return value if math.isfinite(value) else None


def same_value(first: float | None, second: float | None) -> bool:
    """Tell whether two values agree within a relative (or absolute) tolerance of 1e-6.

    None equals nothing, itself included: what cannot be evaluated is never right.
    """
    if first is None or second is None:
        return False
    return math.isclose(first, second, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _value(node: ast.expr, depth: int) -> float:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp):
        operand = _value(node.operand, depth + 1)
        if isinstance(node.op, ast.USub):
            return -operand
        if isinstance(node.op, ast.UAdd):
            return operand
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, depth + 1), _value(node.right, depth + 1)
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Div):
            return left / right
    raise ValueError("not arithmetic")
