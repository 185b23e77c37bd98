"""What the programs gemm_* have in common: shapes, layouts, the reference, its error bound and the launch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from . import load
from .activation import ACTIVATIONS
from .binary32 import canonical, fma
from .narrow import converted, narrowed

if TYPE_CHECKING:
    from ..emulator.buffers import Buffer
    from ..emulator.chip import Chip, LoadedModule

Array = npt.NDArray[Any]
SIDE, THREADS = 128, 128
"""Rows and columns of C per block of threads; threads."""
LINE = 128
"""Bytes of k in a tile."""
ALIGNMENT = 32
"""What an AIU copy wants of a row's bytes."""
SUM_THREADS, SUM_ROWS = 128, 64
"""Of the kernel that adds the parts of a split product: threads, and rows of the grid."""
LAYOUTS = ("nn", "nt", "tn", "tt")
Layout = Literal["nn", "nt", "tn", "tt"]
Activation = Literal["none", "gelu", "silu"]
UNIT = 2.0**-24
"""What a binary32 operation is wrong by, at most, as a part of its result."""


class Factors(NamedTuple):
    """A and B in device memory, as a kernel of the macro `gemm` takes them."""

    shape: tuple[int, int, int]
    """M, N and K."""
    matrices: tuple[Buffer, Buffer]
    more: tuple[Buffer | int, ...] = ()
    """Arguments behind those that all these kernels have."""
    grid: tuple[int, int] | None = None
    """Blocks along N and M, if not those that cover C."""


@dataclass(frozen=True)
class Gemm:
    """A family of matrix products: the program's name, the elements' type, and how the matrix unit adds them up."""

    program: str
    element: Any
    block: int
    """Values of k that a matrix instruction adds up."""
    narrow: Any = None
    """The 16-bit type in which C can be stored, besides binary32."""
    integers: bool = False

    @property
    def sum_type(self) -> Any:
        """The type of the accumulators."""
        return np.int32 if self.integers else np.float32

    @property
    def tile(self) -> int:
        """Values of k in a tile, at a multiple of which a split begins."""
        return LINE // np.dtype(self.element).itemsize

    def elements(self, matrix: npt.ArrayLike) -> Array:
        """A matrix of the family's type; see `converted`."""
        return converted(matrix, self.element)

    # ---- reference ---------------------------------------------------------------------------------------------------

    def reference(
        self,
        a: npt.ArrayLike,
        b: npt.ArrayLike,
        *,
        layout: Layout = "nn",
        bias: npt.ArrayLike | None = None,
        activation: Activation = "none",
        narrow: bool = False,
        splits: int = 1,
    ) -> Array:
        """What `launch` gives, to the bit."""
        a, b = self.natural(a, b, layout)
        depth = self.depth(a.shape[1], splits)
        parts = [self.sums(a[:, k : k + depth], b[k : k + depth]) for k in range(0, a.shape[1], depth)]
        with np.errstate(all="ignore"):
            c = parts[0]
            for part in parts[1:]:
                c = self._add(c, part)
            if bias is not None:
                c = self._add(c, converted(bias, self.sum_type))
        c = ACTIVATIONS[activation][1](c)
        return narrowed(c, self.narrow) if narrow else c

    def sums(self, a: Array, b: Array) -> Array:
        """a @ b in blocks of k: within a block from +0 on with k ascending, then the blocks in turn."""
        if self.integers:
            return (a.astype(np.int64) @ b.astype(np.int64)).astype(np.int32)
        a, b = (self.numbers(each) for each in (a, b))
        c = np.zeros((a.shape[0], b.shape[1]), np.float32)
        with np.errstate(all="ignore"):
            for first in range(0, a.shape[1], self.block):
                block = np.zeros_like(c)
                for k in range(first, min(first + self.block, a.shape[1])):
                    block = fma(a[:, k, None], b[k], block)
                c = canonical(block + c)
        return c

    def numbers(self, matrix: Array) -> Array:
        """Elements as binary32 numbers, as the matrix unit reads them: of binary32 itself only the upper 19 bits."""
        if np.dtype(self.element) == np.float32:
            return (matrix.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)
        return matrix.astype(np.float32)

    def _add(self, one: Array, other: Array) -> Array:
        return one + other if self.integers else canonical(one + other)

    def natural(self, a: npt.ArrayLike, b: npt.ArrayLike, layout: Layout) -> tuple[Array, Array]:
        """A as M x K and B as K x N. Raises ValueError unless they are such matrices, none of them empty."""
        a, b = self.elements(a), self.elements(b)
        if layout not in LAYOUTS:
            raise ValueError(f"the layout is one of {', '.join(LAYOUTS)}, not {layout!r}")
        if a.ndim != 2 or b.ndim != 2:
            raise ValueError(f"the factors are matrices, not {a.ndim}- and {b.ndim}-dimensional")
        a, b = a.T if layout[0] == "t" else a, b.T if layout[1] == "t" else b
        if a.shape[1] != b.shape[0] or 0 in (*a.shape, *b.shape):
            raise ValueError(f"the factors are M x K and K x N, none of them 0, not {a.shape} and {b.shape}")
        return np.ascontiguousarray(a), np.ascontiguousarray(b)

    def depth(self, k: int, splits: int) -> int:
        """How much of K each of so many splits does, a multiple of a tile's k; the last one may have less to do."""
        if splits < 1:
            raise ValueError(f"there is at least one split, not {splits}")
        return -(-k // (self.tile * splits)) * self.tile

    def bound(self, a: npt.ArrayLike, b: npt.ArrayLike, *, layout: Layout = "nn", splits: int = 1) -> Array:
        """How far an element of a @ b, without an epilogue, can be from the exact one, as binary64.

        Products are exact. A product takes part in at most block - 1 roundings within its block (the first addition is
        to 0), in one for each block behind its own, and in one for each part behind its own: n in all. So the error is
        at most (1 + 2^-24)^n - 1 times the sum of the products' sizes. It holds if nothing overflows; what bfloat16 and
        tf32 lose below binary32's smallest number adds 2^-150 for each operation.
        """
        a, b = self.natural(a, b, layout)
        if self.integers:
            return np.zeros((len(a), b.shape[1]))
        k = a.shape[1]
        depth = min(self.depth(k, splits), k)
        roundings = self.block - 1 + -(-depth // self.block) - 1 + -(-k // depth) - 1
        size = np.abs(self.numbers(a).astype(np.float64)) @ np.abs(self.numbers(b).astype(np.float64))
        return ((1 + UNIT) ** roundings - 1) * size * (1 + k * 2.0**-52) + 2 * k * 2.0**-150

    # ---- launch ------------------------------------------------------------------------------------------------------

    def launch(
        self,
        chip: Chip,
        a: npt.ArrayLike,
        b: npt.ArrayLike,
        *,
        layout: Layout = "nn",
        bias: npt.ArrayLike | None = None,
        activation: Activation = "none",
        narrow: bool = False,
        splits: int = 1,
    ) -> Array:
        """a @ b on the chip, M x N in the type of the sums: float32, of s8 int32.

        a is M x K and b K x N; with a layout of "t." a is K x M, with ".t" b is N x K. Numbers of another type than the
        elements are converted: to floats by `m890.narrow`, to nearest even, where the largest e4m3 number stands for
        what is larger and infinity (tf32: to float32, of which the kernel leaves out the 13 low bits); to s8 only
        integers that it holds, so quantise floats yourself.

        `bias` has N values and is added to each row; then follows the `activation`: "none", "gelu" (the tanh form) or
        "silu", of s8 none. `narrow` stores C in the elements' own 16-bit type, bfloat16 or float16. `splits` is how
        many blocks share K, at most; fewer if K has not so many tiles. AIU copies want the bytes of a row to be a
        multiple of 32: here rows that are not are filled up with zeros on the host; a caller of the kernel passes such
        row strides itself.

        Raises ValueError for shapes that do not fit, what the element type has not, and integers it does not hold;
        TypeError for floats where integers belong.
        """
        at, bt = self.natural(a, b, layout)
        (m, k), n = at.shape, bt.shape[1]
        epilogue = self.epilogue(activation, narrow)
        self.check_bias(bias, N=n)
        rows_a, rows_b = (padded(self.elements(each)) for each in (a, b))
        with chip.to_device(rows_a) as device_a, chip.to_device(rows_b) as device_b:
            factors = Factors((m, n, k), (device_a, device_b))
            name, depth = f"{self.program}_{layout}", self.depth(k, splits)
            return self.run(chip, load(chip, self.program), name, factors, depth, bias, epilogue)

    def run(
        self,
        chip: Chip,
        kernels: LoadedModule,
        name: str,
        factors: Factors,
        depth: int,
        bias: npt.ArrayLike | None,
        epilogue: int,
    ) -> Array:
        """C of a kernel made of gemm.inc. If K is deeper than `depth`, the family's other kernel adds up the parts."""
        m, n, k = factors.shape
        parts, ldc = -(-k // depth), n + n % 2
        result = np.dtype(self.narrow if epilogue & NARROW else self.sum_type)
        with (
            chip.to_device(converted(0 if bias is None else bias, self.sum_type).reshape(-1)) as device_bias,
            chip.empty((m, ldc), result) as device_c,
            chip.empty((parts, m, ldc) if parts > 1 else 1, self.sum_type) as workspace,
        ):
            ends = (0 if bias is None else device_bias, epilogue)
            matrices = (*(each.shape[1] for each in factors.matrices), ldc, *factors.matrices)
            product = kernels[name][(*(factors.grid or grid_of(m, n)), parts), THREADS]
            if parts == 1:
                product(m, n, k, *matrices, device_c, *ends, depth, *factors.more)
            else:
                product(m, n, k, *matrices, workspace, 0, 0, depth, *factors.more)
                grid = -(-n // SUM_THREADS), min(m, SUM_ROWS)
                kernels[f"{self.program}_sum"][grid, SUM_THREADS](m, n, ldc, parts, workspace, device_c, *ends)
            return np.ascontiguousarray(device_c.copy_to_host()[:, :n])

    def check_bias(self, bias: npt.ArrayLike | None, **sizes: int) -> None:
        """Raises ValueError unless the bias, if there is one, has these sizes."""
        if bias is not None and np.shape(bias) != tuple(sizes.values()):
            wanted = ", ".join(f"{name} = {size}" for name, size in sizes.items())
            raise ValueError(f"the bias has {wanted} values, not the shape {np.shape(bias)}")

    def epilogue(self, activation: str, narrow: bool) -> int:
        """The kernel's parameter of that name. Raises ValueError for what the family has not."""
        if activation not in ACTIVATIONS or (self.integers and activation != "none"):
            known = ["none"] if self.integers else list(ACTIVATIONS)
            raise ValueError(f"{self.program} has the activations {', '.join(known)}, not {activation!r}")
        if narrow and self.narrow is None:
            raise ValueError(f"{self.program} stores C in {np.dtype(self.sum_type)}, not in a narrow type")
        return ACTIVATIONS[activation][0] | (NARROW if narrow else 0)


NARROW = 4
"""GEMM_NARROW of gemm_store.inc."""


def grid_of(m: int, n: int) -> tuple[int, int]:
    """Blocks that cover an m x n result."""
    return -(-n // SIDE), -(-m // SIDE)


def padded(matrix: Array, alignment: int = ALIGNMENT) -> Array:
    """The matrix with zeros behind each row, up to a multiple of so many bytes."""
    unit = alignment // matrix.itemsize
    wide = np.zeros((matrix.shape[0], -(-matrix.shape[1] // unit) * unit), matrix.dtype)
    wide[:, : matrix.shape[1]] = matrix
    return wide
