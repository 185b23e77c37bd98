"""What atomics, reductions and the like make of two numbers: functions that bodies get as static values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .lanes import F32
from .numerics import is_nan, larger, smaller, where


def plus(a: Any, b: Any) -> Any:
    """a + b: integers wrap."""
    return a + b


def both_bits(a: Any, b: Any) -> Any:
    """a and b, bit by bit."""
    return a & b


def either_bits(a: Any, b: Any) -> Any:
    """a or b, bit by bit."""
    return a | b


def differing_bits(a: Any, b: Any) -> Any:
    """a exclusive or b, bit by bit."""
    return a ^ b


def lesser(a: Any, b: Any) -> Any:
    """The smaller integer."""
    return where(a < b, a, b)


def greater(a: Any, b: Any) -> Any:
    """The larger integer."""
    return where(a > b, a, b)


def nan_or(pick: Callable[[F32, F32], F32], a: F32, b: F32) -> F32:
    """What `pick` makes of a and b; NaN if either is."""
    return where(is_nan(a), a, where(is_nan(b), b, pick(a, b)))


def smaller_or_nan(a: F32, b: F32) -> F32:
    """The smaller number, -0 below +0; NaN if either is."""
    return nan_or(smaller, a, b)


def larger_or_nan(a: F32, b: F32) -> F32:
    """The larger number, -0 below +0; NaN if either is."""
    return nan_or(larger, a, b)
