"""Where an instruction is known from: the tags of the table and the sources they cite (docs/sources.md)."""

from __future__ import annotations

from typing import Any

TAGS = ("published", "measured", "defined")

Known = dict[str, Any]
"""The arguments `tag` and `source` of `@insn`."""


def published(source: str) -> Known:
    """The vendor shows the mnemonic there."""
    return {"tag": "published", "source": source}


def defined(source: str = "") -> Known:
    """This project decides, after the source if there is one."""
    return {"tag": "defined", "source": source}


BIN = published("BIN")
LISTED = published("listings")
TIX = defined("semantics TIX")
