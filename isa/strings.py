"""Strings in quotes: bytes from text with C's escapes, and back."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b"}
ESCAPES = r"\n, \t, \r, \a, \b, \f, \v, \e, \x41, \101 up to \377, and \ before what is no letter or digit"


def unescape(text: str) -> bytes:
    """The bytes of a string: UTF-8, and C's escapes for single bytes; ValueError for other escapes."""
    content, end = bytearray(), 0
    for match in _ESCAPE.finditer(text):
        content += text[end : match.start()].encode("utf-8", "surrogatepass")
        content.append(escaped(match[1]))
        end = match.end()
    return bytes(content) + text[end:].encode("utf-8", "surrogatepass")


def escaped(text: str) -> int:
    """The byte that the text behind a backslash means; ValueError if it means none."""
    if text[0] == "x" and len(text) > 1:
        return int(text[1:], 16)
    if text[0] in "01234567":
        if int(text, 8) > 0xFF:
            raise ValueError(f"\\{text} is no byte")
        return int(text, 8)
    if text not in _ESCAPED and (text.isalnum() or not text.isascii()):
        raise ValueError(f"there is no escape \\{text}")
    return ord(_ESCAPED.get(text, text))


def escape(content: bytes) -> str:
    """Bytes as a string in quotes that `unescape` turns back."""
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in content)
