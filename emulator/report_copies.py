"""What a faulting AIU copy means to a person: its descriptor word by word, what is wrong with it, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..isa.aiu import MODE, SIZE, SWIZZLED, Item, Layout
from ..isa.exceptions import AIU_CUBE, AIU_TSM_SIZE, INVALID_PA, MISALIGNED, OUT_OF_RANGE, TSM_MISALIGNED
from ..isa.registers import Register
from ..isa.spec import Decoded, Instruction
from .hbm import chip_at
from .machine import tiles
from .machine.state import POISON
from .plan import Plan, words_of

NOT_THERE = "poison: nothing has written it yet, or an s.wait for its load is missing"
_HINTS = {
    MISALIGNED: f"rows begin at multiples of {tiles.BASE_ALIGNMENT} bytes: pad the tensor's rows, "
    "or begin at such a place",
    TSM_MISALIGNED: "place it with .tsm or .align at such a multiple",
    AIU_TSM_SIZE: "declare more with .tsm or the launch's tsm, or copy a smaller cube",
    AIU_CUBE: "correct the descriptor: m890 isa on the mnemonic says what its words are",
    OUT_OF_RANGE: "the tensor is larger than its buffer: check base, dims and strides against it",
}


def operands(found: Decoded, rows: np.ndarray) -> dict[str, int]:
    """The values of the words, by the names the manual gives them."""
    return {item.name: value for item, value in _words(found, rows)}


def _words(found: Decoded, rows: np.ndarray) -> Iterator[tuple[Item, int]]:
    layouts = [binding.static for binding in found.form.instruction.bindings if isinstance(binding.static, Layout)]
    registers = [value for value in found.values if isinstance(value, Register)]
    for layout, register in zip(layouts, registers, strict=True):
        for item in layout.items:
            first = layout.places[item.name]
            words = words_of(register, rows)[first : first + item.words, 0].astype("<u4")
            yield item, int(words.view("<u8" if item.name == "base" else f"<i{4 * item.words}")[0])


def detail(plan: Plan, found: Decoded, rows: np.ndarray, code: int, warp: np.void) -> str:
    """What is wrong."""
    what, number = int(warp["address"][0]), int(warp["address"][1])
    if code == AIU_CUBE:
        return _cube(found.form.instruction, what, number)
    if code == AIU_TSM_SIZE:
        return f"{number} bytes at TSM offset {what:#x}; the block has {plan.tsm} bytes"
    if code == TSM_MISALIGNED:
        needed = tiles.SWIZZLED_ALIGNMENT if number else tiles.PACKED_ALIGNMENT
        return f"TSM offset {what:#x} is not a multiple of {needed}"
    if code == MISALIGNED:
        steps = {name: value for name, value in operands(found, rows).items() if name.startswith(("base", "stride"))}
        name = next((name for name, value in steps.items() if value == what), "a row of dim_c elements")
        return f"{name} is {what} ({what:#x}), which is not a multiple of {tiles.BASE_ALIGNMENT}"
    if code == INVALID_PA:
        return f"a row of {number} bytes at {what:#x}, HBM of chip {chip_at(what)}: the AIU copies from and to its own"
    return f"a row of {number} bytes at {what:#x}: {plan.hbm.describe(what, number)}"


def _cube(instruction: Instruction, word: int, number: int) -> str:
    """What is wrong with a word of a descriptor."""
    layout = next(binding.static for binding in instruction.bindings if isinstance(binding.static, Layout))
    name = layout.name_of(word)
    if not name:
        return f"word {word} of the descriptor is {number:#x}: it must be zero"
    meaning = next(item.meaning for item in layout.items if item.name == name)
    if name == "cube_c" and number > 0:
        cube = instruction.cube or 0
        most = (64 if MODE.get(cube) else 128) // SIZE.get(cube)
        return f"{name} is {number}: a swizzled row has at most {most} elements"
    return f"{name} is {number}: {meaning}" + (", at least 0" if name.startswith("dim") else "")


def hint(found: Decoded, rows: np.ndarray, code: int) -> str:
    """What to do about it; first a register of its words that nothing has written."""
    for value in found.values:
        if isinstance(value, Register):
            for word in np.flatnonzero(words_of(value, rows)[:, 0] == POISON):
                return f"sreg{value.number + word} holds {NOT_THERE}"
    packed = code == TSM_MISALIGNED and SWIZZLED.get(found.form.instruction.cube or 0)
    return _HINTS.get(code, "") + (", or copy packed (l1)" if packed else "")
