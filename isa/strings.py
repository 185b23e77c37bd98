"""Strings in quotes: bytes from text with C's escapes, and back."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b"}


def unescape(text: str) -> bytes:
    """The bytes of a string: UTF-8, and C's escapes for single bytes."""
    content, end = bytearray(), 0
    for match in _ESCAPE.finditer(text):
        content += text[end : match.start()].encode("utf-8", "surrogatepass")
        content += _escaped(match[1])
        end = match.end()
    return bytes(content) + text[end:].encode("utf-8", "surrogatepass")


def _escaped(text: str) -> bytes:
    if text[0] == "x" and len(text) > 1:
        return bytes([int(text[1:], 16)])
    if text[0] in "01234567":
        return bytes([int(text, 8) & 0xFF])
    return _ESCAPED.get(text, text).encode("utf-8", "surrogatepass")


def escape(content: bytes) -> str:
    """Bytes as a string in quotes that `unescape` turns back."""
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in content)
