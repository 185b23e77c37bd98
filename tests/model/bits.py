"""Bits and bytes: counting, finding, reversing, permuting, masks of bits, funnel shifts, small dot products."""

from .integer import ALL, BOTH_WIDTHS, READ, Read, signed
from .meaning import lanes


@lanes("{unit}.popc.{width}", width=BOTH_WIDTHS)
def popc(a: int) -> int:
    return a.bit_count()


@lanes("{unit}.clz.{width}", width=BOTH_WIDTHS)
def clz(a: int, *, width: int) -> int:
    return width - a.bit_length()


@lanes("{unit}.brev.{width}", width=BOTH_WIDTHS)
def brev(a: int, *, width: int) -> int:
    return int(f"{a:0{width}b}"[::-1], 2)


def highest(a: int, read: Read) -> int:
    """The highest bit that is not the sign, or -1."""
    value = read(a)
    return (~value if value < 0 else value).bit_length() - 1


@lanes("{unit}.bfind.{read}", read=READ)
def bfind(a: int, *, read: Read) -> int:
    return highest(a, read)


@lanes("{unit}.bfind.shiftamt.{read}", read=READ)
def bfind_shift(a: int, *, read: Read) -> int:
    found = highest(a, read)
    return 31 - found if found >= 0 else ALL


@lanes("{unit}.sad.{read}", read=READ)
def sad(a: int, b: int, c: int, *, read: Read) -> int:
    return c + abs(read(a) - read(b))


@lanes("{unit}.bmsk.clamp.b32")
def bmsk_clamp(a: int, b: int) -> int:
    return ((1 << min(b, 32)) - 1) << a if a < 32 else 0


@lanes("{unit}.bmsk.wrap.b32")
def bmsk_wrap(a: int, b: int) -> int:
    return ((1 << b % 32) - 1) << a % 32


@lanes("{unit}.shf.l.wrap.b32")
def shf_left_wrap(a: int, b: int, c: int) -> int:
    return (b << 32 | a) << c % 32 >> 32


@lanes("{unit}.shf.l.clamp.b32")
def shf_left_clamp(a: int, b: int, c: int) -> int:
    return (b << 32 | a) << min(c, 32) >> 32


@lanes("{unit}.shf.r.wrap.b32")
def shf_right_wrap(a: int, b: int, c: int) -> int:
    return (b << 32 | a) >> c % 32


@lanes("{unit}.shf.r.clamp.b32")
def shf_right_clamp(a: int, b: int, c: int) -> int:
    return (b << 32 | a) >> min(c, 32)


@lanes("{unit}.byte.prmt.b32")
def byte_permute(a: int, b: int, c: int) -> int:
    both, result = b << 32 | a, 0
    for place in range(4):
        nibble = c >> 4 * place & 0xF
        byte = both >> 8 * (nibble & 7) & 0xFF
        if nibble & 8:
            byte = 0xFF if byte & 0x80 else 0
        result |= byte << 8 * place
    return result


@lanes("{unit}.fns.b32")
def find_nth_set(a: int, b: int, c: int) -> int:
    count = signed(c)
    if count == 0:
        return b if b < 32 and a >> b & 1 else ALL
    order = range(b, 32) if count > 0 else range(min(b, 31), -1, -1)
    found = [place for place in order if a >> place & 1]
    return found[abs(count) - 1] if len(found) >= abs(count) else ALL


def _parts(value: int, width: int, count: int, sign: bool) -> list[int]:
    parts = [value >> width * n & ((1 << width) - 1) for n in range(count)]
    return [part - (1 << width) if sign and part >> width - 1 else part for part in parts]


@lanes("{unit}.dp4a.{left}.{right}", left=READ, right=READ)
def dp4a(a: int, b: int, c: int, *, left: Read, right: Read) -> int:
    pairs = zip(_parts(a, 8, 4, left is signed), _parts(b, 8, 4, right is signed), strict=True)
    return c + sum(x * y for x, y in pairs)


@lanes("{unit}.dp2a.{half}.{left}.{right}", half={"lo": 0, "hi": 16}, left=READ, right=READ)
def dp2a(a: int, b: int, c: int, *, half: int, left: Read, right: Read) -> int:
    pairs = zip(_parts(a, 16, 2, left is signed), _parts(b >> half, 8, 2, right is signed), strict=True)
    return c + sum(x * y for x, y in pairs)
