"""Trials and launch files of the matrix products in MX blocks and of experts, entered as in program_trials."""

from program_samples import floats
from program_trials import files, trial

from m890 import mx_quantise
from m890.programs import gemm_f4, grouped_gemm
from m890.programs.narrow import bf16

# ---- waits -----------------------------------------------------------------------------------------------------------


@trial
def gemm_f4_(chip, random):
    """Four tiles of K, so that room is used again; a bias; and a second run in which two blocks share K."""
    a, b = (mx_quantise(floats(random, (rows, 1000), "normal")) for rows in (66, 34))
    bias = floats(random, 34, "normal")
    runs = [{"bias": bias}, {"bias": bias, "splits": 2}]
    found = [gemm_f4.launch(chip, a, b, **options) for options in runs]
    return found, [gemm_f4.reference(a, b, **options) for options in runs]


@trial
def grouped_gemm_(chip, random):
    """Four tiles of K; the second block is the first expert's, the third one's expert is the third."""
    offsets, k = [0, 130, 130, 133], 250
    a = bf16(floats(random, (133, k), "normal"))
    bias = floats(random, (3, 34), "normal")
    shapes = {"nn": (3, k, 34), "nt": (3, 34, k)}
    calls = [(a, bf16(floats(random, shape, "normal")), layout) for layout, shape in shapes.items()]
    found = [grouped_gemm.launch(chip, a, b, offsets, bias=bias, layout=layout) for a, b, layout in calls]
    return found, [grouped_gemm.reference(a, b, offsets, bias=bias, layout=layout) for a, b, layout in calls]


# ---- launch files ----------------------------------------------------------------------------------------------------


@files
def gemm_f4_file(args, buffers, launch):
    return {"c": gemm_f4.reference(mx_quantise(buffers["x"]), mx_quantise(buffers["y"]))}


@files
def grouped_gemm_file(args, buffers, launch):
    n = args["n"]
    return {"c": grouped_gemm.reference(buffers["a"], buffers["b"][:, :, :n], buffers["offsets"])}
