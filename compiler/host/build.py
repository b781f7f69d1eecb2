"""From tensor expressions to object code."""

from __future__ import annotations

import re
from collections.abc import Sequence

import llvmlite.binding as llvm
from llvmlite import ir

from ...isa.program import HostCode
from ..te.loops import Function
from ..te.lower import lower
from ..te.schedule import Schedule
from ..te.tensor import Tensor
from ..te.verify import verify
from .defaults import default_schedule
from .functions import emit_function
from .target import Target

__all__ = ["build", "emit_ir", "lower_call"]


def lower_call(
    name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], schedule: Schedule | None = None
) -> Function:
    """The verified host function that computes `outputs` from `inputs`.

    Parameters
    ----------
    name
        Its symbol: letters, digits and underscores.
    inputs
        Placeholders, in the order of their pointers.
    outputs
        Computed tensors; their pointers follow those of the inputs. Outputs must overlap nothing.
    schedule
        Of exactly `outputs`; default: :func:`.defaults.default_schedule`.

    Returns
    -------
    Function
        ``.arguments`` are its buffers in order; where ``.workspace_bytes`` is not 0, one more pointer, to that many
        bytes of scratch memory, follows the outputs.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"a function's name must be letters, digits and underscores, not {name!r}")
    return verify(lower(name, schedule or default_schedule(outputs), inputs))


def build(
    functions: Sequence[Function],
    *,
    triple: str | None = None,
    cpu: str | None = None,
    features: str | None = None,
) -> HostCode:
    """Object code of `functions`, for this machine's CPU or the one named.

    Parameters
    ----------
    triple, cpu, features
        In LLVM's terms (``"aarch64-unknown-linux-gnu"``, ``"cortex-a72"``, ``"+sve"``). The CPU of another triple
        is its generic one unless given.

    Raises
    ------
    TilewrightError
        LLVM does not know the triple.
    UnsupportedOperator
        An expression holds what the host has no code for.
    """
    names = [function.name for function in functions]
    if len(set(names)) < len(names):
        raise ValueError(f"host functions must have different names: {names}")
    target = Target.of(triple, cpu, features)
    machine = target.machine()
    module = llvm.parse_assembly(emit_ir(functions, target))
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = True
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return HostCode(triple=target.triple, cpu=target.cpu, object=machine.emit_object(module), symbols=tuple(names))


def emit_ir(functions: Sequence[Function], target: Target) -> str:
    """The functions as LLVM IR text."""
    module = ir.Module(name="host", context=ir.Context())
    module.triple = target.triple
    module.data_layout = str(target.machine().target_data)
    for function in functions:
        emit_function(module, function)
    return str(module)
