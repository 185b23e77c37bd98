"""The keys of launch files: what they take and mean; the reader and docs/launch-files.md are made from these."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """A key of a launch file: what it takes, its default as TOML ("" where it must be given), and what it means."""

    takes: str
    default: str
    meaning: str


FREE = "NAME"
"""Stands for the keys of a table that may have any name."""
KEYS: dict[str, dict[str, Key]] = {
    "": {
        "profile": Key("text", '"M890"', "the chip: `M890`, `810E`, or a profile of your own, `FILE.toml`"),
        "chips": Key("whole number", "1", "number of chips; several can access each other's memory"),
        "quantum": Key("whole number", "4096", "instructions a chip runs at a time in a pod; no effect on one chip"),
        "threads": Key("whole number", "1", "host threads that run the chips; changes no result"),
        "timing": Key(
            "`eager` or `late`", '"eager"', "when loads and stores complete: at once, or as late as they may"
        ),
        "seed": Key(
            "whole number",
            "0",
            "order of blocks and warps: 0 one after the other, others interleaved, and packets delayed at random",
        ),
    },
    "[buffers.NAME]": {
        "type": Key(
            "type", "of `init`", "type of an element: `u8` to `u64`, `s8` to `s64`, `f16` to `f64`, `bf16`, ..."
        ),
        "shape": Key("whole numbers", "of `init`", "extents, `[32, 32]`; `1000` is `[1000]`"),
        "init": Key("init form", '"zeros"', "what the buffer holds at first, see below"),
        "chip": Key(
            'whole number or `"all"`',
            "0",
            "the chip whose HBM holds it; on all, it is at the same offset on each, `shape`, and that of a form, is "
            "what each has, and `init` fills all parts as one array, the chips its first axis (a file has that axis, "
            "or is the same for all)",
        ),
    },
    "[topology]": {
        "kind": Key("text", "of the profile", "`switch`, `wired`, `ring` or `full`"),
        "links": Key("list", "of `kind`", 'pairs of nodes and how many links join them, `[[0, 1, 2], [1, "s0"]]`'),
        "switches": Key("whole number", "0", "switches, called s0, s1, ... in `links`"),
        "bandwidth": Key("number", "of the profile", "of one of `links`, each way, in B/s"),
        "latency": Key("number", "of the profile", "of one of `links`, in s"),
    },
    "[[fault]]": {
        "link": Key("two nodes", "", 'the link that fails, as in `[0, 1]`; switches are "s0", "s1", ...'),
        "both": Key("true or false", "true", "whether the way back fails, too"),
        "slow": Key("number", "1.0", "what its bandwidth is divided by"),
        "dead": Key('whole number or `"all"`', "0", "parallel links of it that carry nothing"),
        "loss": Key("number", "0.0", "probability that a packet is lost, and must be sent again"),
        "drops": Key("whole number", "0", "transmissions that are lost next"),
        "at": Key(
            "number", "0.0", "modelled time in s from which on this holds, until another `[[fault]]` of the link"
        ),
        "after": Key("whole number", "0", "instead of `at`: packets that pass before"),
    },
    "[[launch]]": {
        "object": Key("path", "", "source or object file, relative to the launch file"),
        "kernel": Key("text", "the only one", "the kernel, where the file has several"),
        "grid": Key("1 to 3 whole numbers", "", "blocks of the grid, `[8, 8]`; `4` is `[4]`"),
        "block": Key("1 to 3 whole numbers", "", "threads of a block, `[16, 16]`; `256` is `[256]`"),
        "tsm": Key("whole number", "0", "bytes of TSM beyond the kernel's own `.tsm`"),
        "cooperative": Key("true or false", "false", "whether all blocks must be resident at once; else it is refused"),
        "args": Key("table", "{}", "a value for each parameter of the kernel, by name"),
        "chips": Key('`"all"` or whole numbers', '"all"', "which chips run it, side by side"),
    },
    "[launch.args]": {
        FREE: Key("number, numbers or text", "", "a number, the numbers of an array parameter, or a buffer's name"),
    },
    "[[check]]": {
        "buffer": Key("text", "", "the buffer to compare when all launches have ended"),
        "expect": Key("init form", "", "what it should hold, see below; type and shape are the buffer's"),
        "chip": Key("whole number", "all of them", "of a buffer on all chips, the one to compare"),
        "rtol": Key("number", "0.0", "relative tolerance"),
        "atol": Key(
            "number", "0.0", "absolute tolerance: `abs(found - expected) <= atol + rtol * abs(expected)` passes"
        ),
        "nan_equal": Key("true or false", "true", "whether NaN equals NaN"),
    },
    "[save]": {
        FREE: Key(
            "path", "", "save the buffer called NAME as `.npy` or `.safetensors`, relative to the current folder"
        ),
    },
}
"""Every key of a launch file by table."""
HABITS = {
    "file": "object",
    "source": "object",
    "module": "object",
    "threads": "block",
    "blocks": "grid",
    "arguments": "args",
    "shared": "tsm",
    "dtype": "type",
    "expected": "expect",
    "chip": "profile",
}
"""What else one may call a key."""
