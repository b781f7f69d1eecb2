"""The ONNX frontend: what it evens out and what it refuses."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tilewright.compiler.frontend.onnx import import_onnx
from tilewright.compiler.graph import verify
from tilewright.errors import TilewrightError, UnsupportedOperator


def model_of(nodes, inputs, outputs, constants=(), opset=13):
    graph = helper.make_graph(nodes, "model", inputs, outputs, list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def tensor(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def relu(x="x", y="y", name="r"):
    return helper.make_node("Relu", [x], [y], name)


def refusal(source, kind=TilewrightError):
    with pytest.raises(kind) as error:
        import_onnx(source)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_nodes_are_ordered_and_symbolic_batch_is_one():
    nodes = [relu("a", "y", "second"), relu("x", "a", "first")]
    graph = import_onnx(model_of(nodes, [tensor("x", ("batch", 4))], [tensor("y", None)]))
    verify(graph, stage="import")
    assert [node.name for node in graph.nodes] == ["first", "second"]
    assert graph.values["x"].shape == (1, 4)


def test_names_of_nodes_differ():
    nodes = [relu("x", "a", "same"), relu("a", "y", "same")]
    graph = import_onnx(model_of(nodes, [tensor("x", (1,))], [tensor("y", None)]))
    assert len({node.name for node in graph.nodes}) == 2


def test_old_forms_become_new_ones():
    nodes = [
        helper.make_node("Clip", ["x"], ["a"], "clip", min=0.0, max=6.0),
        helper.make_node("Unsqueeze", ["a"], ["b"], "grow", axes=[0]),
        helper.make_node("Softmax", ["b"], ["y"], "soft"),
    ]
    graph = import_onnx(model_of(nodes, [tensor("x", (2, 3))], [tensor("y", None)], opset=9))
    clip, grow, soft = graph.nodes
    assert [float(graph.constant(name)) for name in clip.inputs[1:]] == [0.0, 6.0]
    assert graph.constant(grow.inputs[1]).tolist() == [0]
    assert soft["axis"] == 1 and soft["flatten"] == 1


def test_constants():
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.float32([1, 2]))),
        helper.make_node("Constant", [], ["i"], value_ints=[3, 4]),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    graph = import_onnx(model_of(nodes, [tensor("x", (2,))], [tensor("y", None)]))
    assert graph.constant("c").tolist() == [1, 2]
    assert graph.constant("i").dtype == np.int64
    assert [node.operator for node in graph.nodes] == ["Add"]


def test_refuses_broken_files(tmp_path):
    path = tmp_path / "model.onnx"
    assert "does not exist" in refusal(path)
    path.write_bytes(b"\x08\x07not a model")
    assert str(path) in refusal(path)
    whole = model_of([relu()], [tensor("x", (1,))], [tensor("y", None)]).SerializeToString()
    path.write_bytes(whole[: len(whole) // 2])
    assert str(path) in refusal(path) or "model" in refusal(path)
    path.write_bytes(b"")
    assert "no graph" in refusal(path)


def test_refuses_cycles():
    nodes = [relu("b", "a"), relu("a", "b", "other")]
    assert "cyclic" in refusal(model_of(nodes, [], [tensor("a", None)]))


def test_refuses_what_is_not_defined():
    assert "'gone'" in refusal(model_of([relu("gone")], [tensor("x", (1,))], [tensor("y", None)]))
    nodes = [relu(), relu("x", "y", "again")]
    assert "defined once" in refusal(model_of(nodes, [tensor("x", (1,))], [tensor("y", None)]))


def test_refuses_open_sizes_and_foreign_domains():
    assert "dimension 1" in refusal(model_of([relu()], [tensor("x", (1, "n"))], [tensor("y", None)]))
    foreign = helper.make_node("Relu", ["x"], ["y"], "r", domain="org.example")
    message = refusal(model_of([foreign], [tensor("x", (1,))], [tensor("y", None)]), UnsupportedOperator)
    assert "org.example.Relu" in message and "'r'" in message


def test_refuses_old_operator_sets():
    assert "1 or later, not 0" in refusal(model_of([relu()], [tensor("x", (1,))], [tensor("y", None)], opset=0))


def test_refuses_absurd_constants():
    huge = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[1 << 40, 1 << 20])
    model = model_of([helper.make_node("Add", ["x", "c"], ["y"])], [tensor("x", (1,))], [tensor("y", None)], [huge])
    assert "'c'" in refusal(model)
    short = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[4], raw_data=b"1234")
    model = model_of([helper.make_node("Add", ["x", "c"], ["y"])], [tensor("x", (4,))], [tensor("y", None)], [short])
    assert "'c'" in refusal(model)


@pytest.mark.parametrize("location", ["../outside.bin", "/etc/hostname", "link.bin", ""])
def test_refuses_external_data_outside_the_folder(tmp_path, location):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "outside.bin").write_bytes(bytes(16))
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    (folder / "model.onnx").write_bytes(external(location).SerializeToString())
    assert "'c'" in refusal(folder / "model.onnx")


def test_reads_external_data(tmp_path):
    (tmp_path / "data.bin").write_bytes(np.float32([1, 2, 3, 4]).tobytes())
    (tmp_path / "model.onnx").write_bytes(external("data.bin").SerializeToString())
    assert import_onnx(tmp_path / "model.onnx").constant("c").tolist() == [1, 2, 3, 4]
    assert "by its path" in refusal(external("data.bin"))


def external(location):
    constant = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    constant.external_data.add(key="location", value=location)
    add = helper.make_node("Add", ["x", "c"], ["y"])
    return model_of([add], [tensor("x", (4,))], [tensor("y", None)], [constant])


def test_refuses_subgraphs():
    inner = helper.make_graph([], "inner", [], [tensor("x", (1,))])
    node = helper.make_node("If", ["x"], ["y"], "choice", then_branch=inner, else_branch=inner)
    message = refusal(model_of([node], [tensor("x", (1,))], [tensor("y", None)]), UnsupportedOperator)
    assert "'choice'" in message and "_branch" in message


def test_model_without_outputs():
    assert "output" in refusal(onnx.helper.make_model(helper.make_graph([], "empty", [], []), ir_version=8))
