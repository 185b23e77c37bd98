"""Whatever a kernel's words are, the host is safe: a run ends well, or in one of the emulator's own errors."""

import random

import numpy as np
import pytest
from one import compiles_long

import m890
from m890.isa import ISA
from m890.isa.program import Function, Kernel, Module, lay_out
from m890.isa.registers import Register

FORMS = [form for form in ISA.forms() if not compiles_long(form.instruction)]
PARAMS = lay_out([("x", "ptr", 1), ("n", "u32", 1)])
LIMITS = m890.Limits(instructions=20_000)


def random_words(seed: int, count: int) -> np.ndarray:
    """Valid words with every operand at random, a few random bit patterns among them."""
    chance = random.Random(seed)
    words = [chance.choice(FORMS).sample(chance) for _ in range(count)]
    for place in chance.sample(range(count), count // 40):
        words[place] = chance.getrandbits(64)
    return np.array(words, np.uint64)


def attempt(chip: m890.Chip, words: np.ndarray, buffer: m890.Buffer, *functions: np.ndarray) -> str:
    """How the launch ended."""
    kernel = Kernel("k", words, vregs=256, sregs=192, tsm=1024, params=PARAMS)
    others = {f"f{n}": Function(f"f{n}", function) for n, function in enumerate(functions)}
    loaded = chip.load(Module("ppu0015", {"k": kernel}, functions=others))["k"]
    try:
        loaded.launch((2, 1, 1), (48, 1, 1), (buffer, 7), limits=LIMITS)
    except m890.M890Error as error:
        return type(error).__name__ if str(error) else "no text"
    return "end"


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_random_words_end_in_a_result_or_a_clear_error(timing: str) -> None:
    chip = m890.Chip(timing=timing)
    buffer = chip.empty(1024)
    endings = {attempt(chip, random_words(seed, 60), buffer) for seed in range(60)}
    assert "Fault" in endings
    assert "no text" not in endings


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_random_functions_end_in_a_result_or_a_clear_error(timing: str) -> None:
    """Random words in functions, which random calls of a kernel and of each other enter anywhere."""
    chip = m890.Chip(timing=timing)
    buffer = chip.empty(1024)
    call = ISA.by_mnemonic["s.call"][0][0]
    for seed in range(25):
        chance = random.Random(seed)
        parts = [random_words(seed + 100 * n, 30) for n in range(3)]
        for words in parts:
            for place in chance.sample(range(30), 10):
                pair = Register("s", 2 * chance.randrange(96), 2)
                words[place] = call.encode((pair, chance.choice([0, 0xC0000000]) + 8 * chance.randrange(80)), ())
        assert attempt(chip, *parts[:1], buffer, *parts[1:]) != "no text"


@pytest.mark.slow
@pytest.mark.parametrize("timing", ["eager", "late"])
def test_many_random_words(timing: str) -> None:
    chip = m890.Chip(timing=timing)
    buffer = chip.empty(1024)
    endings = {attempt(chip, random_words(seed, 200), buffer) for seed in range(1500)}
    assert {"Fault", "end"} <= endings
    assert "no text" not in endings


def test_same_words_same_end() -> None:
    chips = [m890.Chip(), m890.Chip()]
    buffers = [chip.to_device(np.arange(1024, dtype=np.uint32)) for chip in chips]
    for seed in range(20):
        words = random_words(seed, 40)
        assert attempt(chips[0], words, buffers[0]) == attempt(chips[1], words, buffers[1])
        np.testing.assert_array_equal(buffers[0].view(), buffers[1].view())
