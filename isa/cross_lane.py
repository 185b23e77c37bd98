"""Between lanes: shuffles, votes, matches and reductions, among the lanes of emsk.

Opcodes 0x100 to 0x13f. Lanes that are off give nothing: their bits are 0, their values are left out. With no
lane active a reduction gives its identity. Where the virtual ISA names the members of an operation in a mask,
here emsk does: `s.lop.emsk` switches the others off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .fields import SECOND_OPCODE
from .lanes import B32, F32, S32, U32, U64, Lanes, Mask
from .numerics import (
    broadcast,
    constant,
    larger,
    lower_half,
    mask_bits,
    mask_of,
    permute,
    reinterpret,
    shift_right,
    smaller,
    trailing_zeros,
    upper_half,
    where,
)
from .reductions import (
    both_bits,
    differing_bits,
    either_bits,
    greater,
    larger_or_nan,
    lesser,
    plus,
    smaller_or_nan,
)
from .spec import Item, insn
from .tags import TIX, published

LISTED = published("listings; operands defined")
ALL = 0xFFFFFFFF

# Shuffles.

IDX, UP, DOWN, BFLY = range(4)
WHOLE = 31
"""The third source of a shuffle over the whole warp: the highest lane in bits 4:0, no segments in 12:8."""


def source_lane(lane: U32, b: U32, c: U32, mode: int) -> tuple[U32, Mask]:
    """Which lane `lane` reads, and whether that is inside its segment (published)."""
    number, highest, segment = b & 31, c & 31, shift_right(c, c & 0 | 8) & 31
    lower = lane & segment
    upper = lower | (highest & ~segment)
    if mode == UP:
        return lane - number, lane - lower >= number
    if mode == DOWN:
        return lane + number, lane + number <= upper
    if mode == BFLY:
        return lane ^ number, (lane ^ number) <= upper
    return lower | (number & ~segment), (lower | (number & ~segment)) <= upper


def shuffled(a: B32, lane: U32, source: U32, inside: Mask, emsk: U32) -> tuple[B32, Mask]:
    """Lane `source` of a where it is inside and on, else the lane's own; and where that is."""
    taken = inside & ((shift_right(emsk, source & 31) & 1) == 1)
    return permute(a, where(taken, source, lane)), taken


for _name, _mode, _known, _short, _long, _with_mask in (
    ("idx", IDX, LISTED, "b=5 | d=5,5,5", "b=5 c=0x181f | d=5,5,5,5,5,5,5,5,13", "b=9 c=7 | d=0,1,2 p=0"),
    ("up", UP, TIX, "b=1 | d=0,0,1,2", "b=1 c=0x1800 | d=0,0,1,2,3,4,5,6,8", "b=1 c=0 | d=0,0,1,2 p=0xfffffffe"),
    ("down", DOWN, TIX, "b=2 | d=2,3,4", "b=2 c=0x181f | d=2,3,4,5,6,7,6,7,10", "b=1 c=31 | d=1,2,3 p=0x7fffffff"),
    ("bfly", BFLY, LISTED, "b=1 | d=1,0,3,2", "b=2 c=0x181f | d=2,3,0,1,6", "b=1 c=31 | d=1,0,3,2 p=0xffffffff"),
):
    _a = f"a={','.join(str(n) for n in range(32))}"

    @insn(f"v.shuffle.{_name}.b32 {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=0x100 + _mode, **_known,
          ex=f"{_a} {_short}", mode=_mode)
    def v_shuffle(a: B32, b: U32, laneid: U32, emsk: U32, mode: int) -> B32:
        """d = a of another lane of the warp: lane b (idx), b lanes below (up) or above (down), or lane xor b (bfly).

        b counts modulo 32. A lane gets its own a back where that lane does not exist or is off.
        """
        source, inside = source_lane(laneid, b, b & 0 | WHOLE, mode)
        value, _ = shuffled(a, laneid, source, inside, emsk)
        return value

    @insn(f"v.shuffle.{_name}.b32 {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}, {{c:vsrc}}", opcode=0x104 + _mode, **TIX,
          ex=f"{_a} {_long}", mode=_mode)
    def v_shuffle_segment(a: B32, b: U32, c: U32, laneid: U32, emsk: U32, mode: int) -> B32:
        """d = a of another lane of the same segment; the lane's own a where there is none or where it is off.

        c: bits 12:8 are the segment mask s, bits 4:0 the clamp. A segment is the lanes that agree in the bits of s;
        its first lane is lane & s, its last (lane & s) | (clamp & ~s). idx reads lane (lane & s) | (b & ~s), up lane
        - b, down lane + b, bfly lane xor b. up has no use for the clamp: it goes as far as the segment's first lane.
        Segments of 8 lanes: 0x181f; the whole warp: 0x1f.
        """
        source, inside = source_lane(laneid, b, c, mode)
        value, _ = shuffled(a, laneid, source, inside, emsk)
        return value

    @insn(f"v.shuffle.{_name}.b32 {{d:vreg}}, {{p:sreg@10:3}}, {{a:vsrc}}, {{b:vsrc}}, {{c:vsrc}}",
          opcode=0x108 + _mode, **TIX, ex=f"{_a} {_with_mask}", mode=_mode)
    def v_shuffle_mask(a: B32, b: U32, c: U32, laneid: U32, emsk: U32, mode: int) -> tuple[B32, Mask]:
        """The shuffle with segments; p = the lanes that read a lane inside their segment which is on.

        So in the lanes that p leaves out d is the lane's own a.
        """
        source, inside = source_lane(laneid, b, c, mode)
        return shuffled(a, laneid, source, inside, emsk)


# Votes. The votes are a mask such as v.cmp writes; answers are all ones or 0, as those of s.cmp.


def answer(holds: Mask) -> U32:
    """All ones where it holds, else 0."""
    return where(holds, constant(ALL, U32), constant(0, U32))


@insn("v.vote.all {d:sreg}, {p:sreg?}", opcode=0x110, **TIX, ex=("p=0xf emsk=0x5 | d=0xffffffff", "p=1 emsk=3 | d=0"))
def v_vote_all(p: U32, emsk: U32) -> U32:
    """d = all ones if every active lane's bit of p is set, else 0. With no lane active all ones."""
    return answer((p & emsk) == emsk)


@insn("v.vote.any {d:sreg}, {p:sreg?}", opcode=0x111, **TIX, ex=("p=1 emsk=3 | d=0xffffffff", "p=4 emsk=3 | d=0"))
def v_vote_any(p: U32, emsk: U32) -> U32:
    """d = all ones if some active lane's bit of p is set, else 0."""
    return answer((p & emsk) != 0)


@insn("v.vote.uni {d:sreg}, {p:sreg?}", opcode=0x112, **TIX, ex=("p=4 emsk=3 | d=0xffffffff", "p=1 emsk=3 | d=0"))
def v_vote_uni(p: U32, emsk: U32) -> U32:
    """d = all ones if the bits of p agree in all active lanes, else 0. With no lane active all ones."""
    return answer(((p & emsk) == emsk) | ((p & emsk) == 0))


@insn("v.vote.ballot.b32 {d:sreg}, {p:sreg?}", opcode=0x113, **TIX, ex="p=0xf1 emsk=0xf | d=1")
def v_vote_ballot(p: U32, emsk: U32) -> U32:
    """d = p's bits of the active lanes, 0 for the others."""
    return p & emsk


@insn("v.activemask.b32 {d:sreg}", opcode=0x114, **TIX, ex="emsk=0x5 | d=0x5")
def v_activemask(emsk: U32) -> U32:
    """d = the active lanes as a mask: emsk. Its lowest bit is the lane that 0x20 names in v.mov.v2s."""
    return emsk


# Matches.

for _bits, _item, _n in ((32, B32, 0), (64, U64, 1)):
    @insn(f"v.match.any.b{_bits} {{d:vreg}}, {{a:vsrc}}", opcode=0x118 + _n, **TIX, immediate=False, Item=_item,
          ex="a=7,8,7,9 emsk=0xf | d=5,2,5,8")
    def v_match_any(a: Item, laneid: U32, emsk: U32) -> U32:
        """d = in each lane, the active lanes whose a is the same as its own, as a mask."""
        result = laneid & 0
        for lane in range(32):
            same = mask_bits(a == broadcast(a, emsk & 0 | lane)) & emsk
            result = where(laneid == lane, same, result)
        return result

    @insn(f"v.match.all.b{_bits} {{d:sreg}}, {{a:vsrc}}", opcode=0x11A + _n, **TIX, immediate=False, Item=_item,
          ex=("a=7,7,8 emsk=3 | d=3", "a=7,7,8 emsk=7 | d=0"))
    def v_match_all(a: Item, emsk: U32) -> U32:
        """d = emsk if a is the same in all active lanes, else 0."""
        same = mask_bits(a == broadcast(a, trailing_zeros(emsk))) & emsk
        return where(same == emsk, emsk, emsk & 0)

    @insn(f"v.match.all.b{_bits} {{d:sreg}}, {{p:sreg@s2}}, {{a:vsrc}}", opcode=0x11C + _n, **TIX, immediate=False,
          Item=_item, ex=("a=7,7,8 emsk=3 | d=3 p=0xffffffff", "a=7,7,8 emsk=7 | d=0 p=0"))
    def v_match_all_mask(a: Item, emsk: U32) -> tuple[U32, U32]:
        """d = emsk if a is the same in all active lanes, else 0; p = all ones or 0. With no lane active all ones."""
        same = mask_bits(a == broadcast(a, trailing_zeros(emsk))) & emsk
        return where(same == emsk, emsk, emsk & 0), answer(same == emsk)


# Reductions.


def reduce(a: Lanes, pick: Callable[[Any, Any], Any]) -> Any:
    """All lanes joined: lanes L and L + 16 first, then what is left at a distance of 8, 4, 2 and 1."""
    half = pick(lower_half(a), upper_half(a))
    quarter = pick(lower_half(half), upper_half(half))
    eighth = pick(lower_half(quarter), upper_half(quarter))
    sixteenth = pick(lower_half(eighth), upper_half(eighth))
    return pick(lower_half(sixteenth), upper_half(sixteenth))



_MINUS_ZERO, _NAN, _INFINITY = 0x80000000, 0x7FFFFFFF, 0x7F800000
_REDUCTIONS: dict[str, tuple[Any, Callable[[Any, Any], Any], int, str]] = {
    "max.u32": (U32, greater, 0, "a=5,7,9 emsk=3 | d=7"),
    "max.i32": (S32, greater, 1 << 31, "a=-5,-9,7 emsk=3 | d=-5"),
    "min.u32": (U32, lesser, ALL, "a=9,7,5 emsk=3 | d=7"),
    "min.i32": (S32, lesser, (1 << 31) - 1, "a=-5,-9,7 emsk=7 | d=-9"),
    "add.i32": (U32, plus, 0, "a=5,9,7 emsk=7 | d=21"),
    "and.b32": (U32, both_bits, ALL, "a=7,6,12 emsk=7 | d=4"),
    "or.b32": (U32, either_bits, 0, "a=1,2,8 emsk=3 | d=3"),
    "xor.b32": (U32, differing_bits, 0, "a=1,3,8 emsk=3 | d=2"),
    "max.f32": (F32, larger, _NAN, "a=1.0,nan,-2.0 emsk=7 | d=1.0"),
    "max.f32.nan": (F32, larger_or_nan, _INFINITY | _MINUS_ZERO, "a=1.0,nan,-2.0 emsk=7 | d=nan"),
    "min.f32": (F32, smaller, _NAN, "a=1.0,nan,-2.0 emsk=7 | d=-2.0"),
    "min.f32.nan": (F32, smaller_or_nan, _INFINITY, "a=1.0,-2.0,nan emsk=3 | d=-2.0"),
    "add.f32": (F32, plus, _MINUS_ZERO, "a=1.5,2.0,8.0 emsk=3 | d=3.5"),
}
"""By name: how the lanes are read, what joins two of them, the identity's bits, an example."""

for _number, (_name, (_item, _pick, _identity, _example)) in enumerate(_REDUCTIONS.items()):
    _common: dict[str, Any] = {
        "immediate": False, "fixed": {SECOND_OPCODE: _number}, "Item": _item, "pick": _pick, "identity": _identity,
        "kind": _item, **(LISTED if _name == "max.u32" else TIX),
    }

    @insn(f"v.red.{_name} {{d:sreg}}, {{a:vsrc}}", opcode=0x120, ex=_example, **_common)
    def v_red(a: Item, emsk: U32, pick: Callable[[Any, Any], Any], identity: int, kind: type[Any]) -> Item:
        """d = a of all active lanes joined to one number.

        Of floats, min and max take -0 as below +0 and leave NaNs out; with `.nan` one NaN makes the result NaN. add.f32
        rounds after each addition, in this order: lanes L and L + 16, then the sums at a distance of 8, 4, 2 and 1;
        lanes that are off count as -0. With no lane active d is the number that changes no other: 0 for add.i32, or,
        xor and max.u32, all ones for `and` and min.u32, the lowest and highest number for max.i32 and min.i32, NaN for
        max.f32 and min.f32, -inf and +inf for these with `.nan`, -0 for add.f32.
        """
        return reduce(where(mask_of(emsk), a, reinterpret(constant(identity, U32), kind)), pick)

    @insn(f"v.red.{_name} {{d:vreg}}, {{a:vsrc}}", opcode=0x121,
          ex=f"{_example},{_example.rpartition('=')[2]}", **_common)
    def v_red_lanes(a: Item, emsk: U32, pick: Callable[[Any, Any], Any], identity: int, kind: type[Any]) -> Item:
        """The same number as in a scalar register, in every active lane of d."""
        return reduce(where(mask_of(emsk), a, reinterpret(constant(identity, U32), kind)), pick)
