"""Small TFLite files, made with the schema's own builders."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tflite

TYPES = {
    "float32": tflite.TensorType.FLOAT32,
    "int32": tflite.TensorType.INT32,
    "uint8": tflite.TensorType.UINT8,
    "int64": tflite.TensorType.INT64,
    "int8": tflite.TensorType.INT8,
    "int16": tflite.TensorType.INT16,
}
OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "SOFTMAX": "SoftmaxOptions",
}


@dataclass
class TfliteMaker:
    """Builds a model of one graph; tensors are numbered in the order in which they are made."""

    tensors: list[dict[str, Any]] = field(default_factory=list)
    operators: list[tuple[str, list[int], list[int], dict[str, Any]]] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    deprecated_code: bool = True
    new_code: bool = True

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: str = "int8",
        *,
        scale: float | list[float] | None = 0.1,
        zero: int = 0,
        axis: int = 0,
        data: np.ndarray | None = None,
        name: str | None = None,
    ) -> int:
        scales = [] if scale is None else list(np.atleast_1d(scale))
        label = f"t{len(self.tensors)}" if name is None else name
        self.tensors.append(
            {"shape": shape, "dtype": dtype, "scales": scales, "zero": zero, "axis": axis, "data": data, "name": label}
        )
        return len(self.tensors) - 1

    def input(self, shape: tuple[int, ...], dtype: str = "int8", **more: Any) -> int:
        self.inputs.append(self.tensor(shape, dtype, **more))
        return self.inputs[-1]

    def constant(self, data: np.ndarray, **more: Any) -> int:
        return self.tensor(data.shape, data.dtype.name, data=data, **{"scale": None, **more})

    def add(self, kind: str, inputs: list[int], shape: tuple[int, ...], dtype: str = "int8", **more: Any) -> int:
        """`more`: the result's scale and zero; what begins with a capital is an option."""
        options = {name: value for name, value in more.items() if name[0].isupper()}
        result = self.tensor(shape, dtype, **{name: value for name, value in more.items() if name not in options})
        self.operators.append((kind, inputs, [result], options))
        return result

    def write(self, path: Path, *outputs: int) -> Path:
        self.outputs = list(outputs)
        path.write_bytes(self._bytes())
        return path

    def _bytes(self) -> bytes:
        b = self.builder = flatbuffers.Builder(1024)
        datas = [entry["data"] for entry in self.tensors if entry["data"] is not None]
        buffers = [self._table("Buffer")]
        buffers += [
            self._table("Buffer", Data=b.CreateNumpyVector(np.frombuffer(data.tobytes(), np.uint8))) for data in datas
        ]
        place = iter(range(1, len(buffers)))
        tensors = [self._tensor(entry, next(place) if entry["data"] is not None else 0) for entry in self.tensors]
        kinds = sorted({kind for kind, *_ in self.operators})
        codes = [self._code(kind) for kind in kinds]
        operators = [self._operator(kinds.index(kind), kind, *rest) for kind, *rest in self.operators]
        graph = self._table(
            "SubGraph",
            Tensors=self._vector(tensors),
            Inputs=self._numbers(self.inputs),
            Outputs=self._numbers(self.outputs),
            Operators=self._vector(operators),
        )
        model = self._table(
            "Model",
            Version=3,
            OperatorCodes=self._vector(codes),
            Subgraphs=self._vector([graph]),
            Buffers=self._vector(buffers),
        )
        b.Finish(model, b"TFL3")
        return bytes(b.Output())

    def _table(self, name: str, **fields: Any) -> int:
        getattr(tflite, f"{name}Start")(self.builder)
        for key, value in fields.items():
            getattr(tflite, f"{name}Add{key}")(self.builder, value)
        return int(getattr(tflite, f"{name}End")(self.builder))

    def _vector(self, offsets: list[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def _numbers(self, values: Any, dtype: Any = np.int32) -> int:
        return int(self.builder.CreateNumpyVector(np.asarray(values, dtype)))

    def _tensor(self, entry: dict[str, Any], buffer: int) -> int:
        fields: dict[str, Any] = {"Shape": self._numbers(entry["shape"]), "Type": TYPES[entry["dtype"]]}
        fields |= {"Buffer": buffer, "Name": self.builder.CreateString(entry["name"])}
        if entry["scales"]:
            fields["Quantization"] = self._table(
                "QuantizationParameters",
                Scale=self._numbers(entry["scales"], np.float32),
                ZeroPoint=self._numbers([entry["zero"]] * len(entry["scales"]), np.int64),
                QuantizedDimension=entry["axis"],
            )
        return self._table("Tensor", **fields)

    def _code(self, kind: str) -> int:
        number = getattr(tflite.BuiltinOperator, kind)
        fields = {"DeprecatedBuiltinCode": min(number, 127)} if self.deprecated_code else {}
        return self._table("OperatorCode", **fields, **({"BuiltinCode": number} if self.new_code else {}))

    def _operator(self, code: int, kind: str, inputs: list[int], outputs: list[int], options: dict[str, Any]) -> int:
        fields: dict[str, Any] = {"OpcodeIndex": code}
        fields |= {"Inputs": self._numbers(inputs), "Outputs": self._numbers(outputs)}
        if kind in OPTIONS:
            fields["BuiltinOptions"] = self._table(OPTIONS[kind], **options)
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, OPTIONS[kind])
        return self._table("Operator", **fields)


@pytest.fixture
def maker() -> type[TfliteMaker]:
    return TfliteMaker
