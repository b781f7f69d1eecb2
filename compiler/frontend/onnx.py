"""ONNX models into graphs: the default operator set, every version.

Differences between versions that are a matter of form (attributes that became inputs) are evened
out by :mod:`.onnx_versions`, so that operators see the newest form only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import helper, numpy_helper

from ...errors import TilewrightError, UnsupportedOperator
from ...files import require_file
from ..graph import Graph, Node, Value
from ..passes.qoperator import CONTRIBUTED
from .onnx_functions import expand_functions
from .onnx_versions import newest_form

__all__ = ["import_onnx"]

_MOST_BYTES = 2 << 30
_MOST_ELEMENTS = 1 << 28
_OLDEST_OPSET = 1
_DOMAINS = ("", "ai.onnx")
_MICROSOFT = "com.microsoft"
_BORDERS = ("QuantizeLinear", "DequantizeLinear")


def import_onnx(model: str | Path | onnx.ModelProto, *, inputs: Mapping[str, Any] | None = None) -> Graph:
    """Read a model from a file, or take one that is loaded already.

    Operators that only ONNX's own function bodies define are replaced by those. A symbolic first dimension of an
    input is taken as 1.

    Parameters
    ----------
    inputs
        What is known of inputs by name: a shape (a tuple), which fixes symbolic dimensions, or an array, which makes
        the input a constant of the compiled model.

    Raises
    ------
    TilewrightError
        The file is missing or broken, the model breaks a rule, or has a size that is not fixed.
    UnsupportedOperator
        It uses another domain's operators, or subgraphs.
    """
    if isinstance(model, onnx.ModelProto):
        return _Importer(model, model.graph.name or "model", None, inputs or {}).run()
    path = Path(model)
    return _Importer(_read(path), path.stem, path.parent, inputs or {}).run()


def _read(path: Path) -> onnx.ModelProto:
    require_file(path, "model", error=TilewrightError, way_out="give the path of an ONNX file")
    if path.stat().st_size > _MOST_BYTES:
        raise TilewrightError(f"model {path} must be at most {_MOST_BYTES >> 30} GiB")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except (OSError, DecodeError, ValueError) as error:
        raise TilewrightError(f"model {path} must be an ONNX file, and can't be read as one: {error}") from None
    if not model.HasField("graph"):
        raise TilewrightError(f"model {path} is not an ONNX file: it holds no graph")
    return model


def _is_quantised(proto: onnx.NodeProto) -> bool:
    """Whether ONNX Runtime's domain has it for quantised models, and the compiler too."""
    return proto.op_type in (*_BORDERS, *CONTRIBUTED)


@contextmanager
def _sound(operator: str, node: str) -> Iterator[None]:
    """Attributes that are not what their names say become one line that names the node."""
    try:
        yield
    except (IndexError, OverflowError, TypeError, ValueError) as error:
        raise TilewrightError(
            f"operator {operator} (node {node!r}): its attributes must be of the right kind ({error})"
        ) from None


class _Importer:
    """One conversion; `folder` is where external data may lie, None where there is none."""

    def __init__(self, model: onnx.ModelProto, name: str, folder: Path | None, known: Mapping[str, Any]) -> None:
        self.proto = expand_functions(model).graph
        self.name = name
        self.folder = folder
        self.known = known
        self.values: dict[str, Value] = {}
        self.node_names: set[str] = set()
        versions = [entry.version for entry in model.opset_import if entry.domain in _DOMAINS]
        if max(versions, default=1) < _OLDEST_OPSET or not model.opset_import:
            stated = max(versions, default="none")
            raise TilewrightError(f"model {name} must use operator set {_OLDEST_OPSET} or later, not {stated}")
        self.opset = max(versions, default=1)

    def run(self) -> Graph:
        for tensor in self.proto.initializer:
            self._define(Value.constant(tensor.name, self._array(tensor)))
        if self.proto.sparse_initializer:
            raise UnsupportedOperator(f"model {self.name} has sparse constants; store them as dense ones")
        inputs = []
        for entry in self.proto.input:
            known = self.known.get(entry.name)
            if isinstance(known, np.ndarray):
                self._define(Value.constant(entry.name, known))
            elif entry.name not in self.values:
                self._define(self._input(entry, known))
                inputs.append(entry.name)
        nodes = [node for index, proto in enumerate(self.proto.node) if (node := self._node(proto, index)) is not None]
        outputs = tuple(entry.name for entry in self.proto.output)
        for name in (*(i for node in nodes for i in node.inputs if i), *outputs):
            if name not in self.values:
                raise TilewrightError(f"tensor {name!r} of model {self.name} is used but never defined")
        if not outputs:
            raise TilewrightError(f"model {self.name} must have at least one output")
        return Graph(self.name, self.values, tuple(nodes), tuple(inputs), outputs).sorted()

    def _define(self, value: Value) -> None:
        if not value.name or value.name in self.values:
            raise TilewrightError(f"tensor {value.name!r} of model {self.name} must be named and defined once")
        self.values[value.name] = value

    def _input(self, entry: onnx.ValueInfoProto, known: tuple[int, ...] | None) -> Value:
        if known is not None:
            return Value(entry.name, tuple(known), self._dtype(entry.type.tensor_type.elem_type, entry.name))
        if not entry.type.HasField("tensor_type") or not entry.type.tensor_type.HasField("shape"):
            raise UnsupportedOperator(f"{self._whose(entry.name)} {entry.name!r} must be a tensor whose rank is stated")
        shape = []
        for axis, dim in enumerate(entry.type.tensor_type.shape.dim):
            if dim.HasField("dim_value") and dim.dim_value > 0:
                shape.append(dim.dim_value)
            elif axis == 0:
                shape.append(1)
            else:
                stated = dim.dim_param or dim.dim_value
                raise TilewrightError(
                    f"input {entry.name!r} must have a fixed size in dimension {axis}, not {stated!r}"
                )
        if np.prod(shape, dtype=np.float64) > _MOST_ELEMENTS:
            raise TilewrightError(f"input {entry.name!r} must have at most {_MOST_ELEMENTS} elements, not {shape}")
        return Value(entry.name, tuple(shape), self._dtype(entry.type.tensor_type.elem_type, entry.name))

    def _whose(self, name: str) -> str:
        """The beginning of a message about a tensor: the first node that reads it."""
        reader = next((node for node in self.proto.node if name in node.input), None)
        if reader is None:
            return f"model {self.name}: its tensor"
        return f"operator {reader.op_type} (node {reader.name!r}): its input"

    def _dtype(self, code: int, name: str) -> np.dtype[Any]:
        try:
            return np.dtype(helper.tensor_dtype_to_np_dtype(code))
        except (KeyError, ValueError):
            raise UnsupportedOperator(f"{self._whose(name)} {name!r} has the unknown element type {code}") from None

    def _array(self, tensor: onnx.TensorProto) -> np.ndarray:
        if any(size < 0 for size in tensor.dims) or np.prod(tensor.dims, dtype=np.float64) > _MOST_ELEMENTS:
            raise TilewrightError(f"constant {tensor.name!r} must have a sensible shape, not {list(tensor.dims)}")
        base = ""
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            base = str(self._external_folder(tensor))
        try:
            return np.asarray(numpy_helper.to_array(tensor, base))
        except Exception as error:  # onnx raises many kinds for broken tensors
            raise TilewrightError(f"constant {tensor.name!r} of model {self.name} is broken: {error}") from None

    def _external_folder(self, tensor: onnx.TensorProto) -> Path:
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        if self.folder is None:
            raise TilewrightError(f"constant {tensor.name!r} lies in {location!r}; compile the model by its path")
        folder = self.folder.resolve()
        try:
            target = (folder / location).resolve()
            found = target.is_file()
        except (OSError, RuntimeError, ValueError):  # names too long, loops of links, zeros
            raise TilewrightError(f"constant {tensor.name!r} lies in {location[:99]!r}, which is no path") from None
        if not location or Path(location).is_absolute() or not target.is_relative_to(folder):
            raise TilewrightError(f"constant {tensor.name!r} must lie in the model's folder, not in {location!r}")
        if not found:
            raise TilewrightError(f"constant {tensor.name!r} lies in {target}, which is no file")
        return folder

    def _node(self, proto: onnx.NodeProto, index: int) -> Node | None:
        name = proto.name or f"{proto.op_type}_{index}"
        if name in self.node_names:
            name = f"{name}#{index}"
        self.node_names.add(name)
        domains = (*(() if proto.op_type in CONTRIBUTED else _DOMAINS), *(_MICROSOFT,) * _is_quantised(proto))
        if proto.domain not in domains:
            raise UnsupportedOperator(
                f"operator {proto.domain}.{proto.op_type} (node {name!r}) is not supported; only those of ONNX's own "
                f"domain are, and of {_MICROSOFT} {', '.join(CONTRIBUTED)}"
            )
        attributes = {entry.name: self._attribute(entry, proto.op_type, name) for entry in proto.attribute}
        if proto.op_type == "Constant":
            self._constant(proto, name, attributes)
            return None
        results = list(proto.output)
        while results and not results[-1]:
            results.pop()
        outputs = tuple(output or f"{name}/unused{place}" for place, output in enumerate(results))
        for output in outputs:
            self._define(Value(output))
        node = Node(name, proto.op_type, tuple(proto.input), outputs, attributes)
        with _sound(node.operator, name):
            node, made = newest_form(node, self.opset)
        for value in made:
            self._define(value)
        return node

    def _attribute(self, entry: onnx.AttributeProto, operator: str, node: str) -> Any:
        if entry.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            raise UnsupportedOperator(
                f"operator {operator} (node {node!r}): its attribute {entry.name} is a subgraph; "
                "control flow is not supported"
            )
        if entry.type == onnx.AttributeProto.TENSOR:
            return self._array(entry.t)
        if entry.ref_attr_name:
            raise TilewrightError(
                f"operator {operator} (node {node!r}): its attribute {entry.name} must have a value, "
                f"but names an attribute {entry.ref_attr_name!r}, which only functions have"
            )
        try:
            value = helper.get_attribute_value(entry)
        except ValueError:
            raise TilewrightError(
                f"operator {operator} (node {node!r}): its attribute {entry.name} must have a type, not {entry.type}"
            ) from None
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) else value

    def _constant(self, proto: onnx.NodeProto, name: str, attributes: dict[str, Any]) -> None:
        if len(attributes) != 1 or len(proto.output) != 1:
            raise TilewrightError(f"node {name!r} (Constant) must have one attribute and one output")
        kind, value = next(iter(attributes.items()))
        dtypes: dict[str, Any] = {
            "value_float": np.float32,
            "value_floats": np.float32,
            "value_int": np.int64,
            "value_ints": np.int64,
        }
        if kind == "value" and isinstance(value, np.ndarray):
            data = value
        elif kind in dtypes:
            with _sound("Constant", name):
                data = np.array(value, dtype=dtypes[kind])
        else:
            raise UnsupportedOperator(f"node {name!r} (Constant) has {kind}; numbers and tensors are supported")
        self._define(Value.constant(proto.output[0], data))
