"""Trials and launch files of the programs of language models, entered beside the others in program_trials."""

import numpy as np
from program_samples import floats
from program_trials import files, trial

from m890 import mx_dequantise, mx_quantise
from m890.programs import attention, conv2d, flash_attention, quantise, rms_norm, rotary, swiglu, topk_router
from m890.programs.narrow import bf16

# ---- waits -----------------------------------------------------------------------------------------------------------


@trial
def attention_(chip, random):
    """Three tiles of keys, of which some queries of a block meet the last one and others do not."""
    arrays = floats(random, (6, 2, 64), "normal"), *floats(random, (2, 68, 1, 64), "normal")
    return [attention.launch(chip, *arrays)], [attention.reference(*arrays)]


@trial
def flash_attention_(chip, random):
    """Three tiles, of which the last one comes to where the first was; in order, and as pages of two sequences."""
    query, (key, value) = floats(random, (40, 2, 64), "normal"), floats(random, (2, 140, 1, 64), "normal")
    pools = [each[:128].reshape(8, 16, 1, 64) for each in (key, value)]
    sequences = flash_attention.Sequences.of([0, 39, 40], [[7, 1, 3], [0, 2, 5]], [45, 40])
    found = (
        flash_attention.launch(chip, query, key, value),
        flash_attention.launch_paged(chip, query, *pools, sequences),
    )
    plain, paged = flash_attention.reference, flash_attention.paged_reference
    return [*found], [plain(query, key, value), paged(query, *pools, sequences)]


@trial
def conv2d_(chip, random):
    """Eight tiles, so that room is used again; with a bias."""
    x, filters = floats(random, (1, 7, 6, 80), "normal"), floats(random, (66, 2, 2, 80), "normal")
    window, bias = conv2d.Window(padding=1), floats(random, 66, "normal")
    return [conv2d.launch(chip, x, filters, window, bias=bias)], [conv2d.reference(x, filters, window, bias=bias)]


@trial
def quantise_(chip, random):
    """More than a round of a grid of one warp, there and back."""
    x, shape = floats(random, 640, "normal"), {"block": 32, "grid": 1}
    small, mx = quantise.reference(x), mx_quantise(x)
    found = [*quantise.launch(chip, x, **shape), quantise.dequantise(chip, *small, **shape)]
    found += [*quantise.launch_mxf4(chip, x, **shape), quantise.dequantise_mxf4(chip, *mx, **shape)]
    backs = quantise.dequantise_reference(*small), mx_dequantise(*mx)
    return found, [*small, backs[0], *mx, backs[1]]


@trial
def rms_norm_(chip, random):
    x, gain = floats(random, (3, 150), "normal"), floats(random, 150, "normal")
    pairs = [(x, gain), (bf16(x), gain)]
    found = [rms_norm.launch(chip, *pair, 1e-5, block=32, grid=1) for pair in pairs]
    return found, [rms_norm.reference(*pair, 1e-5) for pair in pairs]


@trial
def rotary_(chip, random):
    x, positions = floats(random, (3, 2, 80), "normal"), random.integers(0, 1000, 3)
    return [rotary.launch(chip, x, positions, block=32, grid=1)], [rotary.reference(x, positions)]


@trial
def swiglu_(chip, random):
    gate, up = floats(random, (2, 300), "normal")
    return [swiglu.launch(chip, gate, up, block=64, grid=1)], [swiglu.reference(gate, up)]


@trial
def topk_router_(chip, random):
    logits = floats(random, (3, 60), "normal")
    return list(topk_router.launch(chip, logits, 4, block=32, grid=1)), list(topk_router.reference(logits, 4))


# ---- launch files ----------------------------------------------------------------------------------------------------


@files
def attention_file(args, buffers, launch):
    assert np.float32(args["scale"]) == attention.scale_of(64)
    return {"y": attention.reference(buffers["q"], buffers["k"], buffers["v"], causal=bool(args["causal"]))}


@files
def flash_attention_file(args, buffers, launch):
    assert np.float32(args["scale"]) == attention.scale_of(64)
    plain, of = (buffers[name] for name in "qkv"), (buffers[name] for name in ("q", "k_pages", "v_pages"))
    sequences = flash_attention.Sequences.of(*(buffers[name] for name in ("starts", "table", "lengths")))
    return {
        "y": flash_attention.reference(*plain),
        "paged_y": flash_attention.paged_reference(*of, sequences),
        "wide_y": flash_attention.reference(*(buffers[f"wide_{name}"] for name in "qkv")),
    }


@files
def conv2d_file(args, buffers, launch):
    names = ("stride", "dilation", "pad")
    window = conv2d.Window(*((args[f"{name}_h"], args[f"{name}_w"]) for name in names))
    return {"y": conv2d.reference(buffers["x"], buffers["filter"], window, bias=buffers["bias"])}


@files
def quantise_file(args, buffers, launch):
    small, scale = quantise.reference(buffers["x"])
    mx, mx_scales = mx_quantise(buffers["x"])
    back, mx_back = quantise.dequantise_reference(small, scale), mx_dequantise(mx, mx_scales)
    return {"small": small, "back": back, "mx": mx, "mx_scales": mx_scales.view(np.uint8), "mx_back": mx_back}


@files
def rms_norm_file(args, buffers, launch):
    pairs = {"y": (buffers["x"], buffers["gain"]), "short_y": (buffers["short_x"], buffers["short_gain"])}
    return {name: rms_norm.reference(*pair, args["epsilon"]) for name, pair in pairs.items()}


@files
def rotary_file(args, buffers, launch):
    assert np.float32(args["step"]) == rotary.step_of(2 * args["half"], 10_000)
    return {"y": rotary.reference(buffers["x"], buffers["positions"])}


@files
def swiglu_file(args, buffers, launch):
    return {"y": swiglu.reference(buffers["gate"], buffers["up"])}


@files
def topk_router_file(args, buffers, launch):
    chosen, weights, loads = topk_router.reference(buffers["logits"], args["k"])
    return {"chosen": chosen, "weights": weights, "load": loads}
