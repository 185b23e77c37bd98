"""Every example of every instruction says what both machines do: the reference body and the compiled handler.

The syntax of an example: `before | after`, each a list of `name=value`. A name is an operand of the pattern, or
emsk, memory (hexadecimal bytes that every active lane's address points to, `*N` for N times), tsm (the first bytes of
TSM), next (words further, 0: the following one), split (the lanes that leave), stop (a name of isa.effects.Stop). A
value is bits as an integer, a float (with a point, nan or inf) in the operand's format, the name of a special register,
or counters; commas
separate the first lanes, colons the registers of a range.
"""

import re
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import one
import pytest
from one import ALL, FAST, ISSUE, One, bench, predict, row_of

from m890.isa import ISA
from m890.isa.addresses import AddressKind, TsmTarget, Waits
from m890.isa.effects import Emsk, Jump, Next, Split, Stop
from m890.isa.fields import OperandError
from m890.isa.lanes import LANES, LaneKind
from m890.isa.number_kinds import Lane, Number, Target
from m890.isa.operands import Address, IndexedKind, NamedKind, RegisterKind
from m890.isa.reference import At, evaluate
from m890.isa.registers import IVREG, NAMED_SCALARS, Register
from m890.isa.source_kind import Source

HBM = 3 << 38
FLOATS = {"float16": np.uint16, "float32": np.uint32, "float64": np.uint64}


class Example(NamedTuple):
    """An example taken apart: names to texts."""

    before: dict[str, str]
    after: dict[str, str]


def parse(text: str) -> Example:
    """Take an example apart; ValueError for what is no example."""
    before, bar, after = text.partition("|")
    if not bar:
        raise ValueError(f"an example has a bar: {text!r}")
    sides = []
    for side in (before, after):
        pairs = [pair.partition("=") for pair in re.split(r"(?<!,)\s+", side.strip()) if pair]
        if any(not mark or not value for _, mark, value in pairs):
            raise ValueError(f"an example is made of name=value: {text!r}")
        sides.append({name: value for name, _, value in pairs})
    return Example(*sides)


def memory_bytes(text: str) -> bytes:
    """What memory holds: hexadecimal bytes, `*N` behind them for N times."""
    content, _, times = text.partition("*")
    return bytes.fromhex(content) * int(times or 1)


def number(text: str, hint: Any) -> int:
    """One value as bits: a float in the format of the operand it is for, else binary32."""
    if re.fullmatch(r"-?(inf|nan|\d+\.\d*(e[-+]?\d+)?|\d+e[-+]?\d+)", text):
        value = float(text)
        if value != value:
            return hint.format.nan if getattr(hint, "format", None) else 0x7FFFFFFF
        dtype = getattr(hint, "dtype", np.dtype(np.float32))
        dtype = dtype if dtype.kind not in "iub" else np.dtype(np.float32)
        with np.errstate(over="ignore"):
            return int(np.array(value).astype(dtype).view(f"u{dtype.itemsize}"))
    return int(text, 0)


def lanes_of(text: str, hint: Any) -> list[list[int]]:
    """A value as rows (one per register of a range) of the first lanes (one: all lanes)."""
    columns = [[number(part, hint) for part in lane.split(":")] for lane in text.split(",")]
    if len(columns[0]) == 1 and getattr(hint, "words", 1) == 2:
        columns = [[value & ALL, value >> 32 & ALL] for (value,) in columns]
    rows = np.array([[part & ALL for part in column] for column in columns], np.uint32).T
    return [list(row) * (LANES if len(row) == 1 else 1) for row in rows.tolist()]


def hints(instruction: Any) -> dict[str, Any]:
    """The lane kind of each operand, read or written."""
    found = {binding.name: binding.kind for binding in instruction.bindings}
    outputs = iter(kind for kind in instruction.results if isinstance(kind, LaneKind))
    for kind in instruction.kinds:
        if kind.role == "destination" and Stop not in instruction.results:
            written = next(outputs)
            found.setdefault(kind.name, written)
    return found


def operands_of(instruction: Any, example: Example, immediate: bool) -> tuple[Any, ...]:
    """Operand values of a word for the example: registers of our choosing, numbers where the operand is one."""
    values: list[Any] = []
    for place, kind in enumerate(instruction.kinds):
        text = example.before.get(kind.name)
        if isinstance(kind, NamedKind):
            assert text is not None
            values.append(Register("s", *NAMED_SCALARS[text]))
        elif isinstance(kind, Source) and immediate and kind.flags.last:
            assert text is not None
            if "," in text:
                raise OperandError("lanes differ")
            value = number(text, hints(instruction)[kind.name])
            values.append(value & ALL if kind.words == 1 else value)
        elif isinstance(kind, IndexedKind):
            values.append(IVREG)
        elif isinstance(kind, RegisterKind | Source):
            bank = kind.bank if isinstance(kind, RegisterKind) else kind.usual
            values.append(Register(bank, 8 + 8 * place if kind.words <= 8 else 64, kind.words))
        elif isinstance(kind, Target):
            assert text is not None
            values.append(int(text) - 1)
        elif isinstance(kind, Number | Lane):
            assert text is not None
            values.append(int(text, 0))
        elif isinstance(kind, Waits):
            assert text is not None
            values.append(tuple((name, int(count)) for name, count in re.findall(r"(\w+)\((\d+)\)", text)))
        elif isinstance(kind, AddressKind):
            index = Register(kind.index_bank, 40) if kind.index_bank else None
            scale = getattr(kind, "scale", 0) if index else 0
            values.append(Address(0, index, scale, Register(kind.base_bank, 44, kind.base_words)))
        else:
            raise AssertionError(f"the examples know no operand of kind {type(kind).__name__}")
    return tuple(values)


def arrange(instance: One, example: Example) -> np.ndarray | None:
    """Put the example's values before into the bench; the memory of an access."""
    b, instruction, kinds = bench(), instance.instruction, hints(instance.instruction)
    b.scramble(np.random.default_rng(1))
    b.path(ALL)
    b.specials()
    b.memory()
    b.tsm(bytes.fromhex(example.before.get("tsm", "")).ljust(64, b"\0") if uses_tsm(instruction) else bytes(0))
    memory = None
    for kind, value in zip(instruction.kinds, instance.decoded.values, strict=True):
        text = example.before.get(kind.name)
        if isinstance(kind, AddressKind) and instruction.access:
            memory = place_memory(instance, value, example)
        elif isinstance(kind, NamedKind):
            if kind.words == 2:
                b.rows[value.number : value.number + 2] = 0
        elif isinstance(value, Register) and text is not None:
            for row, lanes in enumerate(lanes_of(text, kinds[kind.name]), row_of(value)):
                b.rows[row, : len(lanes)] = lanes
    if "emsk" in example.before:
        b.path(ALL, int(example.before["emsk"], 0))
    return memory


def uses_tsm(instruction: Any) -> bool:
    """Whether it changes TSM beside the memory that its address points to."""
    return bool(instruction.access and instruction.access.to)


def place_memory(instance: One, address: Address, example: Example) -> np.ndarray:
    """Memory that every lane's address points to; the address registers point there."""
    b, access = bench(), instance.instruction.access
    assert access is not None
    content = memory_bytes(example.before["memory"]) if "memory" in example.before else bytes(access.size)
    if address.index:
        b.rows[row_of(address.index)] = 0
    assert address.base
    base = HBM if access.space == "global" else 0
    for word, part in enumerate((base & ALL, base >> 32)[: address.base.count]):
        b.rows[row_of(address.base) + word] = part
    if access.space == "private":  # every lane has its own, with the same content
        return b.private(content)
    return b.tsm(content) if access.space == "tsm" else b.memory((HBM, content))[0]


def reference_step(instance: One, memory: np.ndarray | None) -> tuple[np.ndarray, int, int | None, np.ndarray | None]:
    """Rows, way on, lanes taken and memory after the reference's evaluation."""
    if memory is None:
        step = predict(instance)
        return step.rows, step.reached, step.taken, None
    kinds = {kind.name: kind for kind in instance.instruction.kinds}
    memory, tsm = memory.copy(), bench().tsm_bytes().copy()
    lanes = instance.instruction.lanes
    active = one.lane_mask(int(bench().rows[one.EMSK, 0]))[:lanes]
    inputs: dict[str, Any] = {}
    rows = bench().rows.copy()
    for binding in instance.instruction.bindings:
        if binding.operand is None:
            continue
        value = instance.decoded.values[binding.operand]
        if isinstance(kinds[binding.name], TsmTarget):
            inputs[binding.name] = At(tsm, rows[row_of(value)], active)
        elif isinstance(kinds[binding.name], AddressKind):
            offsets = np.arange(lanes) * memory.shape[1] if memory.ndim == 2 else np.zeros(lanes, np.int64)
            inputs[binding.name] = At(memory.reshape(-1), offsets, active)
        else:
            start = row_of(value)
            inputs[binding.name] = one.bits_of(rows[start : start + value.count, :lanes], binding.kind.dtype)
    results = evaluate(instance.instruction, inputs)
    if instance.instruction.results:
        destination = next(
            value
            for kind, value in zip(instance.instruction.kinds, instance.decoded.values, strict=True)
            if kind.role == "destination"
        )
        for row, part in enumerate(one.words_of(results[0]), row_of(destination)):
            rows[row] = np.where(active, part, rows[row]) if destination.bank == "v" else part[0]
    return rows, 1, None, memory if not uses_tsm(instance.instruction) else np.concatenate([memory, tsm])


def verify(example: Example, instance: One, rows: np.ndarray, reached: int, taken: int | None, memory: Any) -> None:
    """Compare a state with what the example says comes after."""
    kinds = hints(instance.instruction)
    after = dict(example.after)
    copied = after.pop("tsm", None)
    if copied is not None:
        assert instance.instruction.access
        expected = np.frombuffer(bytes.fromhex(copied), np.uint8)
        assert (memory[instance.instruction.access.size :][: len(expected)] == expected).all()
    stopped = after.pop("stop", None)
    if stopped is not None:
        assert reached == one.stop(Stop[stopped])
    following = after.pop("next", None)
    if following is not None:
        assert reached == (int(following, 0) or 1)
    split = after.pop("split", None)
    if split is not None:
        assert (reached, taken) == (one.stop(Stop.SPLIT), int(split, 0))
    if stopped is None and following is None and split is None:
        assert reached == 1
    content = after.pop("memory", None)
    if content is not None:
        assert (memory == np.frombuffer(memory_bytes(content), np.uint8)).all()
    emsk = after.pop("emsk", None)
    if emsk is not None:
        assert rows[one.EMSK].tolist() == [int(emsk, 0)] * LANES
    for name, text in after.items():
        for row, lanes in enumerate(lanes_of(text, kinds[name]), instance.row(name)):
            assert [hex(bits) for bits in rows[row, : len(lanes)]] == [hex(bits) for bits in lanes], name


def cases() -> list[Any]:
    """Every example of every form."""
    return [
        pytest.param(
            form,
            text,
            id=f"{form.instruction.mnemonic}{'-imm' if form.immediate else ''}-{text}",
            marks=[pytest.mark.slow] if one.compiles_long(instruction) else [],
        )
        for instruction in ISA
        for form, text in product(instruction.forms, instruction.examples)
    ]


@pytest.mark.parametrize(("form", "text"), cases())
def test_example(form: Any, text: str) -> None:
    """Reference and handlers do what the example says, and the same to all other state."""
    builds = [FAST, ISSUE] if form.instruction.access or Stop in form.instruction.results else [FAST]
    for build in builds:
        run_example(form, text, build)


def run_example(form: Any, text: str, build: str) -> None:
    """One example in one build."""
    example = parse(text)
    try:
        word = form.encode(operands_of(form.instruction, example, form.immediate), (False,) * len(form.room))
    except OperandError:
        if form.immediate:  # the value needs a register
            return
        raise
    instance = bench().one(word, build)
    memory = arrange(instance, example)
    rows, reached, taken, changed = reference_step(instance, memory)
    verify(example, instance, rows, reached, taken, changed)
    found = instance.run()
    if build == FAST and example.after.get("stop") == "WAIT":  # everything is complete when issued
        assert found == 1
        found = reached
    lanes = int(bench().warp["taken"]) if found == one.stop(Stop.SPLIT) else None
    if uses_tsm(instance.instruction):
        memory = np.concatenate([memory, bench().tsm_bytes()])
    verify(example, instance, bench().rows, found, lanes, memory)
    rows[instance.places] = instance.program.constants
    one.assert_rows(bench().rows, rows, instance.text)
    assert memory is None or np.array_equal(memory, changed)
    assert bench().guards_whole()


@pytest.mark.parametrize("instruction", list(ISA), ids=repr)
def test_example_is_complete(instruction: Any) -> None:
    """An example names every source, and every result of the instruction in one example or another."""
    known = {kind.name for kind in instruction.kinds}
    sources = {kind.name for kind in instruction.kinds if kind.role == "source" and not isinstance(kind, AddressKind)}
    told: set[str] = set()
    for text in instruction.examples:
        example = parse(text)
        assert not sources - set(example.before), f"{text}: not all sources have a value"
        assert not set(example.before) - known - {"emsk", "memory", "tsm"}, f"{text}: what is not an operand"
        assert not set(example.after) - known - {"emsk", "memory", "tsm", "next", "split", "stop"}, f"{text}: no result"
        told |= set(example.after)
    results = {kind.name for kind in instruction.kinds if kind.role == "destination"}
    results = set() if Stop in instruction.results else results  # the schedule writes them
    for result in instruction.results:
        results |= {
            Emsk: {"emsk"},
            Jump: {"next"},
            Next: {"next"},
            Split: {"split", "next"} & told or {"split"},
            Stop: {"stop"},
        }.get(result, set())
    assert not results - told, "no example says what becomes of these"


def test_parser_refuses() -> None:
    """What is no example is not passed over in silence."""
    for text in ("a=1 b=2", "a | d=2", "a= | d=1"):
        with pytest.raises(ValueError, match="an example"):
            parse(text)
