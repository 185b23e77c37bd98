"""The smaller and the greater of two numbers: numba cannot lower min and max as the core compiles."""


def least(a: int, b: int) -> int:
    """The smaller number."""
    return a if a < b else b


def greatest(a: int, b: int) -> int:
    """The greater number."""
    return a if a > b else b
