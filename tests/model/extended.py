"""Integers of the rarer kinds: saturation, high halves, 24-bit factors, carries, division, bytes by mode."""

from collections.abc import Callable

from .integer import ALL, BOTH_WIDTHS, READ, READ_ALL, READ_WIDE, WIDE, Read, signed, signed_wide
from .meaning import lanes

LOW, HIGH = -(1 << 31), (1 << 31) - 1


def clamp(x: int) -> int:
    """The nearest signed number of 32 bits."""
    return max(LOW, min(HIGH, x))


@lanes("{unit}.add.i32.sat")
def add_clamped(a: int, b: int) -> int:
    return clamp(signed(a) + signed(b))


@lanes("{unit}.sub.i32.sat")
def sub_clamped(a: int, b: int) -> int:
    return clamp(signed(a) - signed(b))


@lanes("{unit}.{choose}.i32.relu", choose={"min": min, "max": max})
def not_negative(a: int, b: int, *, choose: Callable[..., int]) -> int:
    return max(0, choose(signed(a), signed(b)))


@lanes("{unit}.abs.{read}", read={"i32": signed, "i64": signed_wide})
def absolute(a: int, *, read: Read) -> int:
    return abs(read(a))


@lanes("{unit}.neg.{width}", width={"i32": 32, "i64": 64})
def negated(a: int) -> int:
    return -a


@lanes("{unit}.cnot.{width}", width=BOTH_WIDTHS)
def is_zero(a: int) -> int:
    return a == 0


@lanes("{unit}.mulh.{read}", read=READ_WIDE)
def mulh_wide(a: int, b: int, *, read: Read) -> int:
    return read(a) * read(b) >> 64


@lanes("{unit}.madh.{read}", read=READ_WIDE)
def madh_wide(a: int, b: int, c: int, *, read: Read) -> int:
    return (read(a) * read(b) >> 64) + c


@lanes("{unit}.madl.i64")
def madl_wide(a: int, b: int, c: int) -> int:
    return a * b + c


@lanes("{unit}.madh.{read}", read=READ)
def madh(a: int, b: int, c: int, *, read: Read) -> int:
    return (read(a) * read(b) >> 32) + c


@lanes("{unit}.madh.i32.sat")
def madh_clamped(a: int, b: int, c: int) -> int:
    return clamp((signed(a) * signed(b) >> 32) + signed(c))


def low24(read: Read, x: int) -> int:
    """The low 24 bits as a number of the type."""
    part = x & 0xFFFFFF
    return part - (1 << 24) if read is signed and part >> 23 else part


PARTS_24 = {"l": 0, "h": 16}


@lanes("{unit}.mul24{shift}.{read}", shift=PARTS_24, read=READ)
def mul24(a: int, b: int, *, shift: int, read: Read) -> int:
    return low24(read, a) * low24(read, b) >> shift


@lanes("{unit}.mad24{shift}.{read}", shift=PARTS_24, read=READ)
def mad24(a: int, b: int, c: int, *, shift: int, read: Read) -> int:
    return (low24(read, a) * low24(read, b) >> shift) + c


@lanes("{unit}.mad24h.i32.sat")
def mad24_clamped(a: int, b: int, c: int) -> int:
    return clamp((low24(signed, a) * low24(signed, b) >> 16) + signed(c))


def highest(a: int, read: Read) -> int:
    value = read(a)
    return (~value if value < 0 else value).bit_length() - 1


@lanes("{unit}.bfind.{read}", read=READ_WIDE)
def bfind_wide(a: int, *, read: Read) -> int:
    return highest(a, read)


@lanes("{unit}.bfind.shiftamt.{read}", read=READ_WIDE)
def bfind_shift_wide(a: int, *, read: Read) -> int:
    found = highest(a, read)
    return 63 - found if found >= 0 else ALL


@lanes("{unit}.sad.{read}", read=READ_WIDE)
def sad_wide(a: int, b: int, c: int, *, read: Read) -> int:
    return c + abs(read(a) - read(b))


@lanes("{unit}.szext.{wraps}.{read}", wraps={"clamp": False, "wrap": True}, read=READ)
def extend(a: int, b: int, *, wraps: bool, read: Read) -> int:
    count = b % 32 if wraps else b
    if count >= 32 or count == 0:
        return a if count else 0
    part = a & (1 << count) - 1
    return part - (1 << count) if read is signed and part >> count - 1 else part


@lanes("{unit}.bfe.{read}", read=READ_WIDE)
def bfe_wide(a: int, b: int, c: int, *, read: Read) -> int:
    length = c & 0xFF
    field = read(a) >> (b & 0xFF) & ((1 << length) - 1)
    negative = read is signed_wide and length and field >> length - 1
    return field - (1 << length) if negative else field


@lanes("{unit}.bfi.b64")
def bfi_wide(a: int, b: int, c: int) -> int:
    field = ((1 << (c >> 8 & 0xFF)) - 1) << (c & 0xFF)
    return b & ~field | a << (c & 0xFF) & field


@lanes("{unit}.slct.{width}.i32", width=BOTH_WIDTHS)
def select_by_sign(a: int, b: int, c: int) -> int:
    return a if signed(c) >= 0 else b


BYTES: dict[str, Callable[[int], list[int]]] = {
    "f4e": lambda c: [c + n for n in range(4)],
    "b4e": lambda c: [(c - n) % 8 for n in range(4)],
    "rc8": lambda c: [c] * 4,
    "ecl": lambda c: [max(n, c) for n in range(4)],
    "ecr": lambda c: [min(n, c) for n in range(4)],
    "rc16": lambda c: [2 * (c & 1), 2 * (c & 1) + 1] * 2,
}


@lanes("{unit}.byte.prmt.{order}.b32", order=BYTES)
def permute_bytes(a: int, b: int, c: int, *, order: Callable[[int], list[int]]) -> int:
    both = b << 32 | a
    return sum((both >> 8 * place & 0xFF) << 8 * n for n, place in enumerate(order(c & 3)))


@lanes("v.sub.ci.co.u32")
def sub_borrow_through(a: int, b: int, c: int) -> tuple[int, int]:
    return a - b - c, a < b + c


HALVES: dict[str, Callable[[int, int], int]] = {
    "madl.{}.u32": lambda a, b: a * b & ALL,
    "madh.{}.u32": lambda a, b: a * b >> 32,
    "madh.{}.i32": lambda a, b: signed(a) * signed(b) >> 32 & ALL,
}


def with_carry(name: str, half: Callable[[int, int], int]) -> None:
    """Register the three forms with a carry out, in, and both."""

    @lanes("v." + name.format("co"))
    def out(a: int, b: int, c: int) -> tuple[int, int]:
        return half(a, b) + c, half(a, b) + c > ALL

    @lanes("v." + name.format("ci"))
    def into(a: int, b: int, c: int, ci: int) -> int:
        return half(a, b) + c + ci

    @lanes("v." + name.format("ci.co"))
    def through(a: int, b: int, c: int, carry: int) -> tuple[int, int]:
        return half(a, b) + c + carry, half(a, b) + c + carry > ALL


for _name, _half in HALVES.items():
    with_carry(_name, _half)


@lanes("{unit}.div.{kind}", kind={name: name for name in READ_ALL})
def divide(a: int, b: int, *, kind: str) -> int:
    x, y = READ_ALL[kind](a), READ_ALL[kind](b)
    if y == 0:
        return WIDE
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


@lanes("{unit}.rem.{kind}", kind={name: name for name in READ_ALL})
def remainder(a: int, b: int, *, kind: str) -> int:
    x, y = READ_ALL[kind](a), READ_ALL[kind](b)
    if y == 0:
        return WIDE
    return abs(x) % abs(y) * (-1 if x < 0 else 1)
