"""The passes that a model goes through, in order."""

from functools import partial

from ..config import Config
from .passes import Pass
from .passes.common import merge_common
from .passes.edges import isolate_edges
from .passes.fuse import absorb_flattening, fuse_bias, fuse_limits, fuse_tables, remove_rescales
from .passes.fuse_add import fuse_additions
from .passes.im2col import unroll_kernels
from .passes.integer_products import expand_integer_products
from .passes.movement import sink_dequantisation
from .passes.multipliers import narrow_multipliers
from .passes.padding import fold_padding
from .passes.partition import partition
from .passes.qdq import lower_qdq
from .passes.qoperator import enclose_integers, expand_qoperators
from .passes.shapes import fold_shapes, infer_shapes
from .passes.signed import make_signed
from .passes.simplify import fold_constants, fold_most_constants, remove_dead

__all__ = ["host_passes", "passes_for"]


def host_passes() -> list[Pass]:
    """From the graph of a frontend to one for the host alone, with the meaning that the model states."""
    return [
        Pass("dead-code", remove_dead, typed=False),
        Pass("qoperators", partial(expand_qoperators, contributed_only=True), typed=False),
        Pass("shapes", fold_shapes),
        Pass("common", merge_common),
        Pass("dead-constants", remove_dead),
        Pass("edges", partial(isolate_edges, accelerate=False)),
        Pass("partition", partial(partition, accelerate=False)),
    ]


def passes_for(config: Config, *, accelerate: bool = True) -> list[Pass]:
    """From the graph of a frontend to one whose nodes all have a target."""
    return [
        Pass("dead-code", remove_dead, typed=False),
        Pass("qoperators", expand_qoperators, typed=False),
        Pass("shapes", infer_shapes),
        Pass("common", merge_common),
        Pass("constants", fold_most_constants),
        Pass("integers-inside", enclose_integers),
        Pass("integer-products", expand_integer_products),
        Pass("bias", fuse_bias),
        Pass("signed", make_signed),
        Pass("movement", sink_dequantisation),
        Pass("integers", partial(lower_qdq, multiplier_bits=config.multiplier_bits, channels=config.channels)),
        Pass("dead-borders", remove_dead),
        Pass("multipliers", partial(narrow_multipliers, bits=config.multiplier_bits)),
        Pass("rescales", remove_rescales),
        Pass("limits", fuse_limits),
        Pass("padding", fold_padding),
        Pass("flattening", absorb_flattening),
        Pass("dead-integers", remove_dead),
        Pass("all-constants", fold_constants),
        Pass("dead-constants", remove_dead),
        Pass("integer-shapes", infer_shapes),
        *(_for_accelerator(config) if accelerate else []),
        Pass("edges", partial(isolate_edges, accelerate=accelerate)),
        Pass("partition", partial(partition, accelerate=accelerate)),
    ]


def _for_accelerator(config: Config) -> list[Pass]:
    return [
        Pass("im2col", partial(unroll_kernels, config=config)),
        Pass("tables", fuse_tables),
        Pass("additions", fuse_additions),
    ]
