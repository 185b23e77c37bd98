"""Items of asynchronous copies: cubes that the AIU moves between the warp's own bytes, and its awbar."""

from random import Random

from model.aiu import LAYOUTS

from m890.isa.aiu import OUT, SIZES
from m890.isa.operands import RegisterKind
from m890.isa.registers import EMSK, LANE_SPECIALS, Register
from m890.isa.spec import Form

from . import samples
from .accesses import AWBARS
from .pieces import Item, all_lanes, encode, s, v
from .samples import AWBAR, CUBES, INDEX, LENT, OWN, OWN_TSM, TABLE

MANY = 1000
"""More than all lanes can arrive within an item."""


def _cube(random: Random, form: Form) -> tuple[dict[str, int], dict[str, int]]:
    """Words of a tensor of at most 1024 bytes and of a cube in it or around it, which takes at most 896 in TSM."""
    name = form.instruction.mnemonic
    size, row = SIZES[name.rpartition(".")[2]], 64 if ".s1." in name else 128
    words = {f"stride_{axis}": stride for axis, stride in (("w", 32), ("n", 256))}
    words |= {"cube_c": random.randint(1, row // size), "dim_c": random.randint(0, 32 // size)}
    at = {"start_c": random.randint(-3, 3)}
    if ".3d." in name:
        del words["stride_w"], words["stride_n"]
        words |= {"dim_c": 32 // size, "dim_w": random.randint(0, 4), "dim_h": random.randint(0, 4)}
        words |= {"cube_w": random.randint(1, 2), "cube_h": random.randint(1, 2), "cube_n": random.randint(1, 2)}
        return words, at | {"start_w": random.randint(-2, 4), "start_h": random.randint(-2, 4)}
    if ".2d." in name:
        words |= {"dim_w": random.randint(0, 8), "dim_n": random.randint(0, 4)}
        words |= {"cube_w": random.randint(1, 3), "cube_n": random.randint(1, 2)}
        return words, at | {"start_w": random.randint(-2, 8), "start_n": random.randint(-1, 3)}
    words |= {"stride_h": 64, "stride_d": 128, "pixels": random.randint(1, 7), "step_n": 1}
    words |= {f"dim_{axis}": random.randint(1, most) for axis, most in (("w", 2), ("h", 2), ("d", 2), ("n", 4))}
    for axis in "whd":
        words |= {f"lower_{axis}": random.randint(-1, 1), f"upper_{axis}": random.randint(-1, 1)}
        words[f"step_{axis}"] = random.randint(1, 2)
        at |= {f"start_{axis}": random.randint(-1, 2), f"offset_{axis}": random.randint(0, 1)}
    return words, at | {"start_n": random.randint(0, 2)}


def copy_cube(random: Random, form: Form) -> Item:
    """All lanes must have come, and be on. Its words are set just before."""
    layout, position = next(pair for name, pair in LAYOUTS.items() if f".{name}." in form.instruction.mnemonic)
    words, at = _cube(random, form)
    out = bool(OUT.get(form.instruction.cube or 0))
    base, d, p = OWN if out else random.choice([OWN, TABLE]), CUBES[layout.words], CUBES[position.words]
    lines = [encode("s.blksyn"), all_lanes()]
    for first, values in ((d, layout.pack(**words)), (p, position.pack(**at))):
        lines += [encode("s.mov.b32", s(first + n), int(word), immediate=True) for n, word in enumerate(values)]
    lines += [encode("s.mov.b32", s(d + n), s(base + n)) for n in (0, 1)]
    lines.append(encode("s.add.i32", s(p), s(OWN_TSM), random.choice([0, 128]), immediate=True))
    suffixes = tuple(random.choice((0, *suffix.values)) for suffix in form.instruction.suffixes)
    lines.append(form.encode((s(d, layout.words), s(p, position.words)), suffixes))
    return Item(lines, barrier=True, full=True)


def awbar(random: Random, form: Form) -> Item:
    """An awbar for all lanes, or one for each, is made, and the lanes act on it; at times they are done with it."""
    mnemonic = form.instruction.mnemonic
    ends, at_number = ".inval." in mnemonic, form.immediate and len(form.instruction.kinds) == 1
    completes = random.random() < 0.5 and not any(part in mnemonic for part in ("_drop", ".no", "_tx"))
    each = not form.immediate and (ends or random.random() < 0.5)
    count = 1 if completes else random.randint(MANY, 2 * MANY)
    at = v(INDEX) if each else s(AWBAR)
    words = [
        encode("v.mov.b32", v(INDEX), s(LANE_SPECIALS["%laneid"][0])),
        encode("v.shll.b32", v(INDEX), v(INDEX), 3, immediate=True),
        encode("v.add.i32", v(INDEX), v(INDEX), s(AWBAR)),
        encode("s.mov.b32", s(LENT), count, immediate=True),
    ]
    if ends and at_number:  # only one lane can do it
        words.append(encode("s.and.b32", s(EMSK), s(EMSK), 1, immediate=True))
    words.append(encode("tsm.awbar.init.b64", at, s(LENT)))
    words += _action(random, form, AWBARS if at_number else at, 1 if completes else random.randint(1, 3))
    if each and not ends and random.random() < 0.3:
        words.append(encode("tsm.awbar.inval.b64", at))
    yields = "try_wait" in mnemonic
    words = [encode("s.blksyn"), *words] if yields else words
    return Item(words, barrier=yields, warps=1 if at_number else None)


def _action(random: Random, form: Form, at: Register | int, count: int) -> list[int]:
    """The instruction; its count in a register is set before."""
    before, values = [], []
    for kind in form.instruction.kinds:
        if kind.name == "at":
            values.append(at)
        elif kind.name in ("n", "p"):
            before += [] if form.immediate else [encode("s.mov.b32", s(LENT), count, immediate=True)]
            values.append(count if form.immediate else s(LENT))
        else:
            assert isinstance(kind, RegisterKind)
            allowed = samples.written if kind.role == "destination" else samples.data
            values.append(random.choice(allowed(kind.bank, kind.words)))
    return [*before, form.encode(tuple(values), ())]
