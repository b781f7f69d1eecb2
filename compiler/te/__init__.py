"""Tensor expressions: what is computed, said once, and how, said apart from it.

A computed tensor is an expression of one element; a schedule arranges the loops; lowering gives the loop IR, from
which :mod:`tilewright.compiler.host` makes machine code. The accelerator's side reads the *same* expression through the
affine analysis and makes instruction nests of it. A convolution (NCHW, no padding), both ways::

    from tilewright.compiler import te

    x = te.placeholder((1, 16, 10, 10), "int8", "x")
    w = te.placeholder((32, 16, 3, 3), "int8", "w")
    ci, kh, kw = te.reduce_axis(16, "ci"), te.reduce_axis(3, "kh"), te.reduce_axis(3, "kw")
    y = te.compute(
        (1, 32, 8, 8),
        lambda n, co, oh, ow: te.sum(
            x[n, ci, oh + kh, ow + kw].astype("int32") * w[co, ci, kh, kw].astype("int32"), [ci, kh, kw]
        ),
        name="y",
    )

    # Host: loops, then code (compiler/host).
    schedule = te.Schedule(y)
    n, co, oh, ow = schedule[y].axes
    schedule[y].reorder(n, co, oh, ci, kh, kw, ow)
    schedule[y].vectorize(ow, 8)
    function = te.verify(te.lower("conv", schedule, [x, w]))
    print(function)

    # Accelerator: base and strides of each operand over the loops of a nest; .nests makes instructions' nests of it.
    for load in te.loads(y.body):
        form = te.address(load.tensor.strides, load.indices)      # or the strides of another layout
        form.base, form.along([oh, ow, kh, kw, ci])

    # Meaning, in NumPy, for tests: te.evaluate([y], {x: ..., w: ...})

Expressions of the usual operators are in :mod:`.nn` and :mod:`.layout`; write others the same way. `where` guards:
``te.where(te.all_of(0 <= i, i < n), x[i], 0)`` never reads outside `x`, and lowering proves it.
"""

from .analysis import Affine, address, affine, flat_index, interval, loads, stride_along, substitute, unravel, walk
from .expr import DTYPES, Axis, Binary, Bits, Cast, Compare, Const, Expr, Load, Math, Reduce, Select
from .loops import Function
from .lower import lower
from .nests import InstructionNest, instruction_nest
from .reference import evaluate
from .schedule import Intrinsic, Schedule, Stage
from .tensor import (
    Tensor,
    abs,
    all_of,
    ceil,
    clamp,
    compute,
    constant,
    equal,
    exp,
    floor,
    log,
    max,
    maximum,
    min,
    minimum,
    not_equal,
    placeholder,
    prod,
    reduce_axis,
    round,
    sigmoid,
    sqrt,
    sum,
    tanh,
    where,
)
from .verify import VerificationError, verify

__all__ = [
    "DTYPES",
    "Affine",
    "Axis",
    "Binary",
    "Bits",
    "Cast",
    "Compare",
    "Const",
    "Expr",
    "Function",
    "InstructionNest",
    "Intrinsic",
    "Load",
    "Math",
    "Reduce",
    "Schedule",
    "Select",
    "Stage",
    "Tensor",
    "VerificationError",
    "abs",
    "address",
    "affine",
    "all_of",
    "ceil",
    "clamp",
    "compute",
    "constant",
    "equal",
    "evaluate",
    "exp",
    "flat_index",
    "floor",
    "instruction_nest",
    "interval",
    "loads",
    "log",
    "lower",
    "max",
    "maximum",
    "min",
    "minimum",
    "not_equal",
    "placeholder",
    "prod",
    "reduce_axis",
    "round",
    "sigmoid",
    "sqrt",
    "stride_along",
    "substitute",
    "sum",
    "tanh",
    "unravel",
    "verify",
    "walk",
    "where",
]
