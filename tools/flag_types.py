"""What values of flags may be: extents, coordinates, names with values, numbers of bytes."""

from __future__ import annotations

import re
from typing import Any

import click

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Extents(click.ParamType):
    """`4`, `4,2` or `4,2,1`; `x` will do for a comma."""

    name = "extents"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The extents as whole numbers."""
        if isinstance(value, tuple):
            return value
        parts = value.replace("x", ",").split(",")
        if not 1 <= len(parts) <= 3 or not all(part.strip().isdecimal() and int(part) for part in parts):
            self.fail(f"'{value}' is no extent: write 4, or 4,2 or 4,2,1", param, ctx)
        return tuple(int(part) for part in parts)


class Coordinates(click.ParamType):
    """`3`, `3,0` or `3,0,0`: which block."""

    name = "coordinates"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The coordinates as whole numbers."""
        if isinstance(value, tuple):
            return value
        parts = value.split(",")
        if not 1 <= len(parts) <= 3 or not all(part.strip().isdecimal() for part in parts):
            self.fail(f"'{value}' is no block: write 3, or 3,0 or 3,0,0", param, ctx)
        return tuple(int(part) for part in parts)


class Named(click.ParamType):
    """`NAME=VALUE`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The name and the value."""
        if isinstance(value, tuple):
            return value
        name, equals, rest = value.partition("=")
        if not name or not equals or not rest:
            self.fail(f"'{value}': write {self.name}", param, ctx)
        return name, rest


class Bytes(click.ParamType):
    """A number of bytes: `8`, `64K`, `16M`, `2G`, `MB` and the like too, in powers of 1,024."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+)([KMG]?)(?:i?B)?", str(value).strip(), re.IGNORECASE)
        if match is None or int(match[1]) == 0:
            self.fail(f"{value!r} is no number of bytes: 8, 64K, 16M, 2G", param, ctx)
        return int(match[1]) * UNITS[match[2].upper()]
