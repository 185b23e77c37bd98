"""Trials and launch files of the matrix products, entered beside the others in program_trials."""

import numpy as np
from program_trials import FILES, TRIALS

from m890.programs import gemm_bf16, gemm_e4m3, gemm_f16, gemm_s8, gemm_tf32

PROGRAMS = {"bf16": gemm_bf16, "f16": gemm_f16, "tf32": gemm_tf32, "e4m3": gemm_e4m3, "s8": gemm_s8}
PRODUCTS = {name: program.PRODUCT for name, program in PROGRAMS.items()}
ACTIVATIONS = ("none", "gelu", "silu")


def matrix(product, random, shape):
    """A matrix of a family's elements, of like size."""
    if product.integers:
        return random.integers(-128, 128, shape, np.int8)
    return product.elements(random.standard_normal(shape).astype(np.float32))


def bias_of(product, random, n):
    """A bias of the type of the sums."""
    return (matrix(product, random, n) if product.integers else random.standard_normal(n)).astype(product.sum_type)


def _trial(program):
    def run(chip, random):
        """Four tiles of K, so that room is used again; a bias; and a second run in which two blocks share K."""
        product = program.PRODUCT
        k = 4 * product.tile - 5
        a, b = matrix(product, random, (66, k)), matrix(product, random, (k, 34))
        bias = bias_of(product, random, 34)
        runs = [{"bias": bias}, {"bias": bias, "splits": 2}]
        found = [program.launch(chip, a, b, **options) for options in runs]
        return found, [program.reference(a, b, **options) for options in runs]

    return run


def _file(product):
    def content(args, buffers, launch):
        k, n = args["k"], args["n"]
        activation, narrow = ACTIVATIONS[args["epilogue"] & 3], args["epilogue"] >= 4
        a, b = buffers["a"][:, :k], buffers["b"][:, :n]
        return {"c": product.reference(a, b, bias=buffers["bias"], activation=activation, narrow=narrow)}

    return content


for _program in PROGRAMS.values():
    TRIALS[_program.PRODUCT.program] = _trial(_program)
    FILES[_program.PRODUCT.program] = _file(_program.PRODUCT)
