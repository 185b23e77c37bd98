"""Integer arithmetic, logic and shifts: for scalar registers (s.*) and for lanes (v.*), one body serves both.

Opcodes: scalar 0x080 to 0x08c, 0x090 to 0x094, 0x098 to 0x0b7 and 0x0bc to 0x0df, vector 0x220 to 0x22c, 0x230 to
0x233, 0x268 to 0x282, 0x286 to 0x298 and 0x2c0 to 0x2c7, v.cmp 0x2e4 to 0x2e8 and 0x2ff. `i32` and `i64` results wrap,
hence they do not depend on the sign; where it matters the type is `u32` or `s`igned `i32`.
"""

from typing import Any

from .families import BINARY, TERNARY, both
from .fields import Field
from .lanes import B32, S32, S64, U32, U64, Mask
from .numerics import (
    bit_field_mask,
    compare,
    convert,
    lookup3,
    mul_high,
    reinterpret,
    shift_left,
    shift_right,
    signed_field,
    where,
)
from .spec import Item, insn
from .tags import BIN, LISTED, TIX, defined


@both("add.i32", BINARY, scalar=0x080, vector=0x220, scalar_known=LISTED, vector_known=LISTED,
      ex=("a=7 b=0xfffffffe | d=5", "a=1 b=2 | d=3"))
def add_i32(a: U32, b: U32) -> U32:
    """d = a + b modulo 2**32."""
    return a + b


@both("sub.i32", BINARY, scalar=0x081, vector=0x221, scalar_known=TIX, vector_known=TIX, ex="a=5 b=7 | d=0xfffffffe")
def sub_i32(a: U32, b: U32) -> U32:
    """d = a - b modulo 2**32."""
    return a - b


@both("mull.i32", BINARY, scalar=0x082, vector=0x222, scalar_known=LISTED, vector_known=LISTED,
      ex="a=0x10001 b=0x10001 | d=0x20001")
def mull_i32(a: U32, b: U32) -> U32:
    """d = the low 32 bits of a * b."""
    return a * b


for _name, _item, _wide, _s, _v in (("u32", U32, U64, 0x083, 0x223), ("i32", S32, S64, 0x084, 0x224)):

    @both(f"mulh.{_name}", BINARY, scalar=_s, vector=_v,
          scalar_known=LISTED if _item is U32 else TIX, vector_known=LISTED if _item is U32 else TIX,
          ex="a=0x80000000 b=4 | d=2" if _item is U32 else "a=-1 b=1 | d=0xffffffff", Item=_item, wide=_wide,
          also="mulh" if _item is U32 else "")
    def mulh(a: Item, b: Item, wide: type[Any]) -> U32:
        """d = the high 32 bits of the 64-bit product a * b."""
        return mul_high(a, b, wide)

    @both(f"mulw.{_name.replace('32', '64')}.{_name}", BINARY, scalar=_s + 2, vector=_v + 2,
          scalar_known=LISTED if _item is U32 else TIX, vector_known=TIX,
          ex="a=0x80000000 b=4 | d=0x200000000" if _item is U32 else "a=-2 b=3 | d=-6", Item=_item, wide=_wide)
    def mulw(a: Item, b: Item, wide: type[Any]) -> U64:
        """d = the 64-bit product a * b, in a register pair."""
        return reinterpret(convert(a, wide) * convert(b, wide), U64)

    @both(f"madw.{_name.replace('32', '64')}.{_name}", TERNARY, scalar=_s + 4, vector=_v + 4,
          scalar_known=TIX, vector_known=LISTED if _item is S32 else TIX,
          ex="a=0x80000000 b=4 c=1 | d=0x200000001" if _item is U32 else "a=-2 b=3 c=1 | d=-5", Item=_item, wide=_wide)
    def madw(a: Item, b: Item, c: U64, wide: type[Any]) -> U64:
        """d = a * b + c modulo 2**64; c and d are register pairs."""
        return reinterpret(convert(a, wide) * convert(b, wide), U64) + c

    @both(f"min.{_name}", BINARY, scalar=_s + 6, vector=_v + 6,
          scalar_known=LISTED if _item is S32 else TIX, vector_known=LISTED if _item is S32 else TIX,
          ex="a=-1 b=1 | d=1" if _item is U32 else "a=-1 b=1 | d=-1", Item=_item)
    def minimum(a: Item, b: Item) -> Item:
        """d = the smaller of a and b."""
        return where(a < b, a, b)

    @both(f"max.{_name}", BINARY, scalar=_s + 8, vector=_v + 8, scalar_known=TIX,
          vector_known=LISTED if _item is S32 else TIX,
          ex="a=-1 b=1 | d=-1" if _item is U32 else "a=-1 b=1 | d=1", Item=_item)
    def maximum(a: Item, b: Item) -> Item:
        """d = the larger of a and b."""
        return where(a > b, a, b)


@both("bfe.u32", TERNARY, scalar=0x090, vector=0x230, scalar_known=TIX, vector_known=LISTED, also="bfe.b32",
      ex=("a=0x12345678 b=8 c=8 | d=0x56", "a=0xff00 b=40 c=8 | d=0"))
def bfe_u32(a: U32, b: U32, c: U32) -> U32:
    """d = the c bits of a from bit b on, zero-extended; b and c count by their low 8 bits, bits past 31 read as 0."""
    return shift_right(a, b & 0xFF) & bit_field_mask(b & 0, c)


@both("bfe.i32", TERNARY, scalar=0x091, vector=0x231, scalar_known=TIX, vector_known=TIX,
      ex=("a=0xff00 b=8 c=8 | d=-1", "a=0xff00 b=8 c=0 | d=0"))
def bfe_i32(a: S32, b: U32, c: U32) -> S32:
    """d = the c bits of a from bit b on, sign-extended; c = 0 gives 0.

    b and c count by their low 8 bits, bits past 31 read as a's sign.
    """
    return signed_field(a, b, c, 32)


@both("bfi.b32", TERNARY, scalar=0x092, vector=0x232, scalar_known=LISTED, vector_known=LISTED,
      ex=("a=0xab b=0x12345678 c=0x0808 | d=0x1234ab78", "a=1 b=0 c=0x0020 | d=0"))
def bfi_b32(a: U32, b: U32, c: U32) -> U32:
    """d = b with its bits from position c & 0xff on, (c >> 8) & 0xff of them, replaced by the low bits of a.

    How the two numbers are packed into the third source is defined here.
    """
    field = bit_field_mask(c, c >> 8)
    return (b & ~field) | (shift_left(a, c & 0xFF) & field)


@both("madl.i32", TERNARY, scalar=0x093, vector=0x233, scalar_known=TIX, vector_known=LISTED,
      ex="a=3 b=5 c=0xffffffff | d=14")
def madl_i32(a: U32, b: U32, c: U32) -> U32:
    """d = the low 32 bits of a * b + c."""
    return a * b + c


_LOGIC = {
    "and": (0x098, 0x268, BIN, BIN, "a=0xf0 b=0x3c | d=0x30"),
    "or": (0x099, 0x269, BIN, BIN, "a=0xf0 b=0x3c | d=0xfc"),
    "xor": (0x09A, 0x26A, TIX, LISTED, "a=0xf0 b=0x3c | d=0xcc"),
    "xnor": (0x09B, 0x26B, TIX, LISTED, "a=0xf0 b=0x3c | d=-205"),
}
"""By name: the opcodes for 32 bits, where s.* and v.* are known from, an example."""


def _logic(name: str, item: type[Any], bits: int, **opcodes_and_sources: Any) -> None:
    @both(f"{name}.b{bits}", BINARY, **opcodes_and_sources, ex=_LOGIC[name][-1], Item=item,
          operation=name, also=name if bits == 32 else "")
    def logic(a: Item, b: Item, operation: str) -> Item:
        """d = a {operation} b, bit by bit."""
        if operation == "and":
            return a & b
        if operation == "or":
            return a | b
        if operation == "xor":
            return a ^ b
        return ~(a ^ b)


for _name, (_s, _v, _scalar_known, _vector_known, _) in _LOGIC.items():
    _logic(_name, U32, 32, scalar=_s, vector=_v, scalar_known=_scalar_known, vector_known=_vector_known)
    _logic(_name, U64, 64, scalar=_s + 4, vector=_v + 4, scalar_known=TIX, vector_known=TIX)


for _bits, _item, _s, _v in ((32, U32, 0x0A0, 0x270), (64, U64, 0x0A1, 0x271)):

    @both(f"not.b{_bits}", "{d:D}, {a:S}", scalar=_s, vector=_v, scalar_known=TIX,
          vector_known=LISTED if _bits == 32 else TIX, ex="a=5 | d=-6", Item=_item,
          also="not" if _bits == 32 else "")
    def invert(a: Item) -> Item:
        """d = a with every bit flipped."""
        return ~a

    @both(f"shll.b{_bits}", BINARY, scalar=_s + 2, vector=_v + 2, scalar_known=LISTED if _bits == 32 else TIX,
          vector_known=LISTED if _bits == 32 else TIX, ex=("a=3 b=4 | d=0x30", "a=3 b=64 | d=0"), Item=_item)
    def shll(a: Item, b: U32) -> Item:
        """d = a shifted left by b bits; 0 when b is the width or more."""
        return shift_left(a, b)

    @both(f"shrl.b{_bits}", BINARY, scalar=_s + 4, vector=_v + 4, scalar_known=LISTED,
          vector_known=LISTED if _bits == 32 else TIX, ex=("a=0x30 b=4 | d=3", "a=3 b=64 | d=0"), Item=_item)
    def shrl(a: Item, b: U32) -> Item:
        """d = a shifted right by b bits, zeros moving in; 0 when b is the width or more."""
        return shift_right(a, b)


for _bits, _item, _s, _v in ((32, S32, 0x0A6, 0x276), (64, S64, 0x0A7, 0x277)):

    @both(f"shra.i{_bits}", BINARY, scalar=_s, vector=_v, scalar_known=TIX,
          vector_known=LISTED if _bits == 32 else TIX, ex=("a=-16 b=2 | d=-4", "a=-16 b=99 | d=-1"), Item=_item)
    def shra(a: Item, b: U32) -> Item:
        """d = a shifted right by b bits, its sign moving in; all sign when b is the width or more."""
        return shift_right(a, b)


@both("add.i64", BINARY, scalar=0x0A8, vector=0x278, scalar_known=TIX, vector_known=TIX,
      ex="a=0xffffffff b=1 | d=0x100000000")
def add_i64(a: S64, b: S64) -> S64:
    """d = a + b modulo 2**64, in register pairs; an immediate is sign-extended."""
    return a + b


@both("sub.i64", BINARY, scalar=0x0A9, vector=0x279, scalar_known=TIX, vector_known=TIX, ex="a=1 b=2 | d=-1")
def sub_i64(a: S64, b: S64) -> S64:
    """d = a - b modulo 2**64, in register pairs; an immediate is sign-extended."""
    return a - b


@both("mull.i64", BINARY, scalar=0x0AA, vector=0x27A, scalar_known=TIX, vector_known=TIX,
      ex="a=0x100000001 b=3 | d=0x300000003")
def mull_i64(a: S64, b: S64) -> S64:
    """d = the low 64 bits of a * b, in register pairs; an immediate is sign-extended."""
    return a * b


for _name, _item, _s, _v in (("u64", U64, 0x0AB, 0x27B), ("i64", S64, 0x0AD, 0x27D)):

    @both(f"min.{_name}", BINARY, scalar=_s, vector=_v, scalar_known=TIX, vector_known=TIX,
          ex="a=7 b=9 | d=7", Item=_item)
    def minimum64(a: Item, b: Item) -> Item:
        """d = the smaller of a and b, in register pairs."""
        return where(a < b, a, b)

    @both(f"max.{_name}", BINARY, scalar=_s + 1, vector=_v + 1, scalar_known=TIX, vector_known=TIX,
          ex="a=7 b=9 | d=9", Item=_item)
    def maximum64(a: Item, b: Item) -> Item:
        """d = the larger of a and b, in register pairs."""
        return where(a > b, a, b)


@both("lop3.b32", "{d:D}, {a:S}, {b:S}, {c:S} # {lut:number@7:0}", scalar=0x0AF, vector=0x27F, scalar_known=TIX,
      vector_known=LISTED, ex=("a=0xf0 b=0xcc c=0xaa lut=0x80 | d=0x80", "a=0xf0 b=0xcc c=0xaa lut=0x96 | d=0x96"))
def lop3_b32(a: U32, b: U32, c: U32, lut: U32) -> U32:
    """d = any function of three bits, bit by bit: entry 4*a + 2*b + c of the truth table lut.

    So lut is the function applied to 0xf0, 0xcc and 0xaa: 0x80 is a & b & c, 0x96 their exclusive or.
    """
    return lookup3(a, b, c, lut)


for _name, _from, _to, _s, _v, _known in (
    ("i64.i32", S32, S64, 0x0B0, 0x280, LISTED), ("u64.u32", U32, U64, 0x0B1, 0x281, TIX),
):

    @both(f"cnvt.{_name}", "{d:D}, {a:S}", scalar=_s, vector=_v, scalar_known=_known, vector_known=TIX,
          ex="a=5 | d=5", Item=_from, wide=_to)
    def extend(a: Item, wide: type[Any]) -> S64:
        """d = a extended to 64 bits, by its sign for i64 and with zeros for u64."""
        return reinterpret(convert(a, wide), S64)


# Compares. A relation is the set of outcomes it accepts; gt.u32 = 0x48 is published and fits.

INTEGER_RELATIONS = {"lt": 2, "eq": 4, "le": 6, "gt": 8, "ne": 10, "ge": 12}
_COMPARED = {"u32": (U32, 4), "i32": (S32, 5), "u64": (U64, 6), "i64": (S64, 7)}
_RESULT, _RELATION = Field(53, 46), Field(36, 33)


def compare_forms(name: str, relation: int, type_code: int, item: type[Any], example: str, published: bool) -> None:
    """Register v.cmp.NAME for one relation and type: between registers, and with an immediate.

    A relation that a NaN fulfils, such as ltu.f32, is the mnemonic v.ucmp.lt.f32; v.cmp.ltu.f32 assembles too.
    """
    outcome, _, kind = name.partition(".")
    mnemonic, also = f"v.cmp.{name}", ()
    if outcome.endswith("u"):
        mnemonic, also = f"v.ucmp.{outcome[:-1]}.{kind}", (mnemonic,)
    known = LISTED if mnemonic in ("v.ucmp.ne.f32", "v.ucmp.gt.f32") else BIN if published else TIX
    common: dict[str, Any] = {
        **known, "ex": example, "Item": item, "relation": relation, "also": also,
    }

    @insn(f"{mnemonic} {{d:sreg@s2}}, {{a:vsrc@s}}, {{b:vsrc}}", opcode=0x2FF, immediate=False,
          fixed={_RESULT: type_code << 4 | relation}, **common)
    @insn(f"{mnemonic} {{d:sreg}}, {{a:vsrc}}, {{b:imm}}", opcode=0x2E0 + type_code,
          fixed={_RELATION: relation}, **common)
    def cmp(a: Item, b: Item, relation: int) -> Mask:
        """d = the lanes where the relation holds, as a mask; lanes that are off give 0.

        Of floats: with a NaN, v.cmp is false and v.ucmp true; num and nan ask only whether there is one.
        """
        return compare(a, b, relation)


for _type, (_item, _code) in _COMPARED.items():
    for _relation, _outcomes in INTEGER_RELATIONS.items():
        _name = f"{_relation}.{_type}"
        compare_forms(_name, _outcomes, _code, _item, f"a=3 b=3 | d={-1 if _outcomes & 4 else 0}",
                      _name in ("gt.u32", "lt.u32", "ne.i32"))

        @insn(f"s.cmp.{_name} {{d:sreg}}, {{a:ssrc}}, {{b:ssrc}}",
              opcode=0x0C0 + 8 * (_code - 4) + list(INTEGER_RELATIONS).index(_relation),
              **(LISTED if _name == "eq.i32" else defined("slot of s.cmp.eq.i32")), Item=_item, relation=_outcomes,
              ex=f"a=3 b=3 | d={-1 if _outcomes & 4 else 0}")
        def s_cmp(a: Item, b: Item, relation: int) -> Mask:
            """d = all ones if the relation holds, else 0: its `and` with emsk is a lane mask. d is mostly scc."""
            return compare(a, b, relation)


@insn("v.csel.b32 {d:vreg}, {a:vsrc}, {b:vsrc}, {c:sreg?}", opcode=0x290, **LISTED,
      ex=("a=1 b=2 c=0xffffffff | d=1", "a=1 b=2 c=0 | d=2"))
def v_csel(a: B32, b: B32, c: Mask) -> B32:
    """d = a in the lanes whose bit of c is set, else b."""
    return where(c, a, b)


@insn("v.csel.b64 {d:vreg}, {a:vsrc}, {b:vsrc}, {c:sreg?}", opcode=0x291, **defined("slot of v.csel.b32"),
      ex=("a=1 b=2 c=0xffffffff | d=1", "a=1 b=2 c=0 | d=2"))
def v_csel64(a: U64, b: U64, c: Mask) -> U64:
    """d = a in the lanes whose bit of c is set, else b; register pairs."""
    return where(c, a, b)


for _bits, _item, _opcode in ((32, B32, 0x0BC), (64, U64, 0x0BD)):

    @insn(f"s.csel.b{_bits} {{d:sreg}}, {{a:ssrc}}, {{b:ssrc}}, {{c:ssrc}}", opcode=_opcode, Item=_item,
          **(LISTED if _bits == 32 else defined("slot of s.csel.b32")),
          ex=("a=1 b=2 c=4 | d=1", "a=1 b=2 c=0 | d=2"))
    def s_csel(a: Item, b: Item, c: U32) -> Item:
        """d = a if c is not zero, else b; c is scc or any scalar register."""
        return where(c != 0, a, b)


# Carries: one bit a lane in a mask register.


@insn("v.add.co.u32 {d:vreg}, {co:sreg@s2}, {a:vsrc}, {b:vsrc}", opcode=0x294, **LISTED,
      immediate=False, ex=("a=0xffffffff b=1 | d=0 co=0xffffffff", "a=1 b=1 | d=2 co=0"))
def v_add_co(a: U32, b: U32) -> tuple[U32, Mask]:
    """d = a + b modulo 2**32; co = the lanes that carried."""
    total = a + b
    return total, total < a


@insn("v.add.ci.u32 {d:vreg}, {a:vsrc}, {b:vsrc}, {ci:sreg?}", opcode=0x295, **LISTED,
      ex=("a=1 b=1 ci=0xffffffff | d=3",))
def v_add_ci(a: U32, b: U32, ci: Mask) -> U32:
    """d = a + b + the lane's bit of ci, modulo 2**32."""
    return a + b + where(ci, a & 0 | 1, a & 0)


@insn("v.add.ci.co.u32 {d:vreg}, {c:sreg!@s2}, {a:vsrc}, {b:vsrc}", opcode=0x296, **TIX,
      immediate=False, ex=("a=0xffffffff b=0 c=0xffffffff | d=0 c=0xffffffff",))
def v_add_ci_co(c: Mask, a: U32, b: U32) -> tuple[U32, Mask]:
    """d = a + b + the lane's bit of c, modulo 2**32; c = the lanes that carried. For sums of many words."""
    total = a + b
    sum_in = total + where(c, a & 0 | 1, a & 0)
    return sum_in, (total < a) | (sum_in < total)


@insn("v.sub.co.u32 {d:vreg}, {co:sreg@s2}, {a:vsrc}, {b:vsrc}", opcode=0x297, **TIX,
      immediate=False, ex=("a=0 b=1 | d=0xffffffff co=0xffffffff",))
def v_sub_co(a: U32, b: U32) -> tuple[U32, Mask]:
    """d = a - b modulo 2**32; co = the lanes that borrowed."""
    return a - b, a < b


@insn("v.sub.ci.u32 {d:vreg}, {a:vsrc}, {b:vsrc}, {ci:sreg?}", opcode=0x298, **TIX,
      ex=("a=5 b=1 ci=0xffffffff | d=3",))
def v_sub_ci(a: U32, b: U32, ci: Mask) -> U32:
    """d = a - b - the lane's bit of ci, modulo 2**32."""
    return a - b - where(ci, a & 0 | 1, a & 0)
