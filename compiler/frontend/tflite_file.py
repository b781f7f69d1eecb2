"""A TFLite file as plain tensors and operators; whatever is damaged in it ends in one line."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tflite

from ...errors import TilewrightError, UnsupportedOperator
from ...files import require_file

__all__ = ["TfliteModel", "TfliteOperator", "TfliteTensor", "read_tflite", "sound"]

_IDENTIFIER = b"TFL3"
_MOST_BYTES = 2 << 30
_MOST_ELEMENTS = 1 << 28
_MOST_DIMENSIONS = 8
_DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.UINT8: np.uint8,
    tflite.TensorType.INT64: np.int64,
    tflite.TensorType.BOOL: np.bool_,
    tflite.TensorType.INT16: np.int16,
    tflite.TensorType.INT8: np.int8,
}
_TYPE_NAMES = {code: name for name, code in vars(tflite.TensorType).items() if isinstance(code, int)}
_OPERATOR_NAMES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
_OPTION_NAMES = {code: name for name, code in vars(tflite.BuiltinOptions).items() if isinstance(code, int)}
_DAMAGE = (struct.error, IndexError, ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError)


@dataclass(frozen=True, eq=False)
class TfliteTensor:
    """A tensor as the file has it, channels last.

    Members
    -------
    name
        Unique in the model.
    scale, zero_point
        float32 and int64, as long; empty where the tensor is not quantised.
    axis
        The dimension that has one scale a slice, where there are several.
    data
        A constant's elements, a view of the file; None for what is computed.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: np.ndarray
    zero_point: np.ndarray
    axis: int
    data: np.ndarray | None


@dataclass(frozen=True, eq=False)
class TfliteOperator:
    """`kind` is the schema's name; an input that is left out is None."""

    kind: str
    name: str
    inputs: tuple[TfliteTensor | None, ...]
    outputs: tuple[TfliteTensor, ...]
    table: Any

    def refuse(self, what: str) -> UnsupportedOperator:
        return UnsupportedOperator(f"operator {self.kind} (node {self.name!r}): {what}")

    def options(self, name: str) -> Any:
        """The operator's options, which must be of the schema's table `name`."""
        found = _OPTION_NAMES.get(self.table.BuiltinOptionsType(), "unknown options")
        place = self.table.BuiltinOptions()
        if found != name or place is None:
            raise TilewrightError(f"operator {self.kind} (node {self.name!r}) must have {name}, not {found}")
        options = getattr(tflite, name)()
        options.Init(place.Bytes, place.Pos)
        return options


@dataclass(frozen=True, eq=False)
class TfliteModel:
    name: str
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[TfliteTensor, ...]
    outputs: tuple[TfliteTensor, ...]


@contextmanager
def sound(name: str) -> Iterator[None]:
    """Errors of reading a damaged file become one line that names the model."""
    try:
        yield
    except TilewrightError:
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise TilewrightError(f"model {name} must be a whole TFLite file, and is damaged: {reason}") from None


def read_tflite(path: Path) -> TfliteModel:
    """Read the file's one graph.

    Raises
    ------
    TilewrightError
        The file is missing, damaged or no TFLite file.
    UnsupportedOperator
        It has several graphs.
    """
    require_file(path, "model", error=TilewrightError, way_out="give the path of a TFLite file")
    if path.stat().st_size > _MOST_BYTES:
        raise TilewrightError(f"model {path} must be at most {_MOST_BYTES >> 30} GiB")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TilewrightError(f"model {path} must be readable: {error.strerror}") from None
    if content[4:8] != _IDENTIFIER:
        raise TilewrightError(f"model {path} must be a TFLite file ({_IDENTIFIER.decode()}), and is not")
    with sound(path.stem):
        return _Reader(content, path.stem).run()


class _Reader:
    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        self.size = len(content)
        self.model = tflite.Model.GetRootAs(content, 0)
        if self.model.SubgraphsLength() != 1:
            raise UnsupportedOperator(
                f"model {name} must have one graph, not {self.model.SubgraphsLength()}; control flow is not supported"
            )
        self.graph = self.model.Subgraphs(0)
        self.tensors: dict[int, TfliteTensor] = {}
        self.names: set[str] = set()
        self.layer_names: set[str] = set()

    def run(self) -> TfliteModel:
        count = self.graph.OperatorsLength()
        if not 0 < count <= self.size // 4:
            raise TilewrightError(f"model {self.name} must have operators that fit its file, not {count}")
        users = [self._indices(self.graph, "Inputs"), self._indices(self.graph, "Outputs")]
        inputs, outputs = (tuple(self._tensor(index) for index in indices) for indices in users)
        operators = tuple(self._operator(self.graph.Operators(number)) for number in range(count))
        if not outputs:
            raise TilewrightError(f"model {self.name} must have at least one output")
        return TfliteModel(self.name, operators, inputs, outputs)

    def _indices(self, table: Any, what: str) -> list[int]:
        length = getattr(table, f"{what}Length")()
        return [int(index) for index in getattr(table, f"{what}AsNumpy")()] if length else []

    def _operator(self, table: Any) -> TfliteOperator:
        code = self.model.OperatorCodes(table.OpcodeIndex())
        number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
        kind = _OPERATOR_NAMES.get(number, f"number {number}")
        if kind == "CUSTOM":
            kind = f"CUSTOM {(code.CustomCode() or b'').decode('utf-8', 'replace')}"
        inputs = tuple(None if index == -1 else self._tensor(index) for index in self._indices(table, "Inputs"))
        outputs = tuple(self._tensor(index) for index in self._indices(table, "Outputs"))
        if not outputs:
            raise TilewrightError(f"an operator {kind} of model {self.name} must have a result")
        return TfliteOperator(kind, self._layer_name(outputs[0]), inputs, outputs, table)

    def _layer_name(self, result: TfliteTensor) -> str:
        """Names of fused tensors list all they were made of, the last one's is enough as long as it is unique."""
        name = result.name.rpartition(";")[2] or result.name
        if name in self.layer_names:
            name = f"{name}#{result.index}"
        self.layer_names.add(name)
        return name

    def _tensor(self, index: int) -> TfliteTensor:
        if index in self.tensors:
            return self.tensors[index]
        if not 0 <= index < self.graph.TensorsLength():
            raise TilewrightError(f"model {self.name} names tensor {index}, which it does not have")
        table = self.graph.Tensors(index)
        name = (table.Name() or b"").decode("utf-8", "replace") or f"tensor{index}"
        if name in self.names:
            name = f"{name}#{index}"
        self.names.add(name)
        dtype = _DTYPES.get(table.Type())
        if dtype is None:
            kind = _TYPE_NAMES.get(table.Type(), table.Type())
            raise UnsupportedOperator(f"tensor {name!r} of model {self.name} has elements of type {kind}")
        if table.IsVariable():
            raise UnsupportedOperator(f"tensor {name!r} of model {self.name} keeps state, which is not supported")
        if table.Sparsity() is not None:
            raise UnsupportedOperator(f"tensor {name!r} of model {self.name} is sparse; store it dense")
        shape = self._shape(table, name)
        data = self._data(table, name, shape, np.dtype(dtype))
        tensor = TfliteTensor(index, name, shape, np.dtype(dtype), *self._quantisation(table, name), data)
        self.tensors[index] = tensor
        return tensor

    def _shape(self, table: Any, name: str) -> tuple[int, ...]:
        shape = tuple(self._indices(table, "Shape"))
        if len(shape) > _MOST_DIMENSIONS or any(size < 1 for size in shape) or prod(shape) > _MOST_ELEMENTS:
            raise TilewrightError(f"tensor {name!r} of model {self.name} must have a sensible shape, not {list(shape)}")
        return shape

    def _data(self, table: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray | None:
        buffer = self.model.Buffers(table.Buffer())
        length = buffer.DataLength()
        if buffer.Offset() > 1:
            raise UnsupportedOperator(f"tensor {name!r} of model {self.name} lies outside the flatbuffer")
        if table.Buffer() == 0 or not length:
            return None
        if length != prod(shape) * dtype.itemsize:
            raise TilewrightError(
                f"tensor {name!r} of model {self.name} must have {prod(shape) * dtype.itemsize} bytes, not {length}"
            )
        return np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype.newbyteorder("<")).astype(dtype).reshape(shape)

    def _quantisation(self, table: Any, name: str) -> tuple[np.ndarray, np.ndarray, int]:
        given = table.Quantization()
        if given is None or not given.ScaleLength():
            return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
        scale = np.array(given.ScaleAsNumpy(), np.float32)
        zero = np.array(given.ZeroPointAsNumpy(), np.int64) if given.ZeroPointLength() else np.zeros(1, np.int64)
        if len(zero) not in (1, len(scale)) or not np.all(np.isfinite(scale) & (scale > 0)):
            raise TilewrightError(f"tensor {name!r} of model {self.name} must have positive scales and a zero for each")
        return scale, np.broadcast_to(zero, scale.shape), int(given.QuantizedDimension())
