"""Integers: arithmetic, logic, shifts, comparisons, carries. What is returned is cut to the destination's width."""

from collections.abc import Callable

from .meaning import lanes

ALL = 0xFFFFFFFF
WIDE = 0xFFFFFFFFFFFFFFFF
Read = Callable[[int], int]


def unsigned(x: int) -> int:
    return x


def signed(x: int) -> int:
    """32 bits in two's complement."""
    return x - 0x100000000 if x & 0x80000000 else x


def signed_wide(x: int) -> int:
    """64 bits in two's complement."""
    return x - (1 << 64) if x >> 63 else x


READ = {"u32": unsigned, "i32": signed}
READ_WIDE = {"u64": unsigned, "i64": signed_wide}
READ_ALL = READ | READ_WIDE
BOTH_WIDTHS = {"b32": 32, "b64": 64}


@lanes("{unit}.add.{width}", width={"i32": 32, "i64": 64})
def add(a: int, b: int) -> int:
    return a + b


@lanes("{unit}.sub.{width}", width={"i32": 32, "i64": 64})
def sub(a: int, b: int) -> int:
    return a - b


@lanes("{unit}.mull.{width}", width={"i32": 32, "i64": 64})
def mull(a: int, b: int) -> int:
    return a * b


@lanes("{unit}.mulh.{read}", read=READ)
def mulh(a: int, b: int, *, read: Read) -> int:
    return read(a) * read(b) >> 32


@lanes("{unit}.mulw.{read}", read={"u64.u32": unsigned, "i64.i32": signed})
def mulw(a: int, b: int, *, read: Read) -> int:
    return read(a) * read(b)


@lanes("{unit}.madw.{read}", read={"u64.u32": unsigned, "i64.i32": signed})
def madw(a: int, b: int, c: int, *, read: Read) -> int:
    return read(a) * read(b) + c


@lanes("{unit}.madl.i32")
def madl(a: int, b: int, c: int) -> int:
    return a * b + c


@lanes("{unit}.min.{read}", read=READ_ALL)
def least(a: int, b: int, *, read: Read) -> int:
    return a if read(a) < read(b) else b


@lanes("{unit}.max.{read}", read=READ_ALL)
def greatest(a: int, b: int, *, read: Read) -> int:
    return a if read(a) > read(b) else b


@lanes("{unit}.and.{width}", width=BOTH_WIDTHS)
def bit_and(a: int, b: int) -> int:
    return a & b


@lanes("{unit}.or.{width}", width=BOTH_WIDTHS)
def bit_or(a: int, b: int) -> int:
    return a | b


@lanes("{unit}.xor.{width}", width=BOTH_WIDTHS)
def bit_xor(a: int, b: int) -> int:
    return a ^ b


@lanes("{unit}.xnor.{width}", width=BOTH_WIDTHS)
def bit_xnor(a: int, b: int) -> int:
    return ~(a ^ b)


@lanes("{unit}.not.{width}", width=BOTH_WIDTHS)
def bit_not(a: int) -> int:
    return ~a


@lanes("{unit}.lop3.b32")
def lop3(a: int, b: int, c: int, lut: int) -> int:
    result = 0
    for entry in range(8):
        if lut >> entry & 1:
            result |= (a if entry & 4 else ~a) & (b if entry & 2 else ~b) & (c if entry & 1 else ~c)
    return result


@lanes("{unit}.shll.{width}", width=BOTH_WIDTHS)
def shll(a: int, b: int, *, width: int) -> int:
    return a << b if b < width else 0


@lanes("{unit}.shrl.{width}", width=BOTH_WIDTHS)
def shrl(a: int, b: int) -> int:
    return a >> b


@lanes("{unit}.shra.{read}", read={"i32": signed, "i64": signed_wide})
def shra(a: int, b: int, *, read: Read) -> int:
    return read(a) >> b


@lanes("{unit}.bfe.{read}", read=READ)
def bfe(a: int, b: int, c: int, *, read: Read) -> int:
    length = c & 0xFF
    field = read(a) >> (b & 0xFF) & ((1 << length) - 1)
    negative = read is signed and length and field >> length - 1
    return field - (1 << length) if negative else field


@lanes("{unit}.bfi.b32")
def bfi(a: int, b: int, c: int) -> int:
    field = ((1 << (c >> 8 & 0xFF)) - 1) << (c & 0xFF)
    return b & ~field | a << (c & 0xFF) & field


@lanes("{unit}.cnvt.i64.i32")
def extend_sign(a: int) -> int:
    return signed(a)


@lanes("{unit}.cnvt.u64.u32")
def extend_zeros(a: int) -> int:
    return a


RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "lt": lambda a, b: a < b,
    "eq": lambda a, b: a == b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ne": lambda a, b: a != b,
    "ge": lambda a, b: a >= b,
}


@lanes("v.cmp.{relation}.{read}", relation=RELATIONS, read=READ_ALL)
def compare_lanes(a: int, b: int, *, relation: Callable[[int, int], bool], read: Read) -> int:
    return relation(read(a), read(b))


@lanes("s.cmp.{relation}.{read}", relation=RELATIONS, read=READ_ALL)
def compare(a: int, b: int, *, relation: Callable[[int, int], bool], read: Read) -> int:
    return ALL if relation(read(a), read(b)) else 0


@lanes("{unit}.csel.{width}", width=BOTH_WIDTHS)
def csel(a: int, b: int, c: int) -> int:
    return a if c else b


@lanes("v.add.co.u32")
def add_carry_out(a: int, b: int) -> tuple[int, int]:
    return a + b, a + b > ALL


@lanes("v.add.ci.u32")
def add_carry_in(a: int, b: int, ci: int) -> int:
    return a + b + ci


@lanes("v.add.ci.co.u32")
def add_carry_through(a: int, b: int, c: int) -> tuple[int, int]:
    return a + b + c, a + b + c > ALL


@lanes("v.sub.co.u32")
def sub_borrow_out(a: int, b: int) -> tuple[int, int]:
    return a - b, a < b


@lanes("v.sub.ci.u32")
def sub_borrow_in(a: int, b: int, ci: int) -> int:
    return a - b - ci
