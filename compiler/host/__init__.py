"""Code for what stays on the host CPU: tensor expressions to LLVM to object code.

::

    from tilewright.compiler import host, te
    from tilewright.compiler.te import nn

    x = te.placeholder((1, 10), "float32", "x")
    y = nn.softmax(x)
    function = host.lower_call("softmax0", [x], [y])          # loop IR, verified
    code = host.build([function])                              # isa.program.HostCode, relocatable

Every function is ``void name(void **buffers)``: pointers to the inputs, then to the outputs, then, where
``function.workspace_bytes`` is not 0, to as much scratch memory. Buffers are dense, row-major and may have any
alignment that suits their element; outputs overlap nothing. The object needs no library but for ``memcpy``,
``memmove`` and ``memset``, which LLVM may call.
"""

from .build import build, emit_ir, lower_call
from .defaults import default_schedule
from .intrinsics import DOT_INT8
from .target import Target

__all__ = ["DOT_INT8", "Target", "build", "default_schedule", "emit_ir", "lower_call"]
