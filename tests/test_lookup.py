"""What `m890 isa WORD` lists."""

import pytest

from m890.tools import lookup


@pytest.mark.parametrize("word", ["barrier", "atomic", "shuffle", "convert"])
def test_no_entry_is_listed_twice(word: str) -> None:
    """Forms that differ in the kind of an operand, a number in the word or a register, read the same."""
    listed = [(entry.name, entry.says) for entry in lookup.search(word)]
    assert listed
    assert len(listed) == len(set(listed))
