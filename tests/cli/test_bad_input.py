"""Whatever is wrong with what a user gives: one line that names it and the way out, and exit status 2."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tilewright.config import PRESETS, Config, load_config
from tilewright.driver.device import open_device
from tilewright.driver.session import Session
from tilewright.errors import DeviceError
from tilewright.isa.instruction import Instruction, finish, gemm, load, store, sync
from tilewright.isa.program import Program, Run, Segment
from tilewright.isa.table import Engine, Memory
from tilewright.models import DIGITS


def made(path: Path, *instructions: Instruction | bytes) -> Path:
    """A program with one segment of 256 bytes."""
    rows = [entry if isinstance(entry, bytes) else entry.encode() for entry in (*instructions, finish())]
    raw = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 64)
    segments = (Segment(name="work", size=256, role="activations"),)
    steps = (Run(first=0, count=len(raw)),)
    Program(config=load_config("tiny"), instructions=raw, segments=segments, steps=steps).save(path)
    return path


class TestProgramFiles:
    def test_truncated(self, tilewright: Callable, digits: Path, image: Path, tmp_path: Path) -> None:
        data, path = digits.read_bytes(), tmp_path / "short.tw"
        for length in (0, 3, 8, 30, 60, 1000, len(data) - 1):
            path.write_bytes(data[:length])
            for command in (("check", path), ("disassemble", path), ("run", path, "-i", image, "-d", "oracle")):
                complaint = tilewright(*command).complaint
                assert "short.tw" in complaint and re.search("truncated|not a program file", complaint)

    def test_flipped(self, tilewright: Callable, digits: Path, tmp_path: Path) -> None:
        data, path = digits.read_bytes(), tmp_path / "flipped.tw"
        rng = np.random.default_rng(1)
        places = [*range(0, 64, 3), *rng.integers(64, len(data), 60).tolist()]
        for place in places:
            damaged = bytearray(data)
            damaged[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            complaint = tilewright("check", path).complaint
            assert re.search("damaged|not a program file|compile the model again", complaint), complaint

    def test_no_such_file(self, tilewright: Callable, tmp_path: Path) -> None:
        for command in ("check", "disassemble", "run"):
            missing, folder = tilewright(command, tmp_path / "no.tw"), tilewright(command, tmp_path)
            assert "no.tw does not exist: make one with 'tilewright compile'" in missing.complaint
            assert "must be a file, not a folder" in folder.complaint
            assert "must be readable: Input/output error" in tilewright(command, "/proc/self/mem").complaint

    def test_another_configuration(self, tilewright: Callable, digits: Path, image: Path) -> None:
        complaint = tilewright("run", digits, "-i", image, "-c", "vta-16").complaint
        assert "block_in: 16, not 4; " in complaint and "compile for vta-16" in complaint
        with pytest.raises(
            DeviceError, match=r"^device oracle must have .* block_in: 8, not 4; .*: compile for 8x16, or"
        ):
            Session(Program.load(digits), open_device("oracle", load_config("8x16")))

    def test_one_field_differs(self, tilewright: Callable, digits: Path, image: Path, tmp_path: Path) -> None:
        path = tmp_path / "deep.toml"
        path.write_text(load_config("tiny").replace(name="deep", queue_depth=16).to_toml())
        complaint = tilewright("run", digits, "-i", image, "-c", path).complaint
        assert "it is deep with queue_depth: 16, not 4: compile for deep" in complaint


ONE = {"memory": Memory.ACT, "segment": 0, "bounds": [8], "mem": (0, [1])}
UNBALANCED = sync(Engine.LOAD, signal=[Engine.STORE])
ILLEGAL = {
    "behind a segment": (load(offset=240, **ONE), "segment 0 has 256 bytes, not bytes 240 to 271"),
    "no such segment": (store(offset=0, **{**ONE, "segment": 3}), "segment 3 has 0 bytes"),
    "before a segment": (load(offset=0, **ONE).replace(bound2=2, dram_stride2=-4), "not bytes -4 to"),
    "tokens left": (UNBALANCED, "1 tokens that LOAD gives to STORE are never taken"),
    "deadlock": (sync(Engine.GEMM, wait=[Engine.LOAD]), "deadlock: GEMM waits for a token from LOAD that never comes"),
    "opcode": (b"\x0f" + bytes(63), "opcode 15 is not known"),
    "on chip": (gemm(bounds=[2], act=(1023, [1]), wgt=(0, [0]), acc=(0, [0])), "ACT addresses must be from 0 to 1023"),
}


class TestIllegalPrograms:
    @pytest.mark.parametrize("case", ILLEGAL)
    def test_check_and_run_refuse(self, tilewright: Callable, tmp_path: Path, case: str) -> None:
        instruction, problem = ILLEGAL[case]
        path = made(tmp_path / "bad.tw", sync(Engine.LOAD), instruction)
        checked = tilewright("check", path)
        assert checked.status == 2
        assert f"{path}: instruction 1 (" in checked.err and problem in checked.err
        assert "must be without findings" in checked.err.splitlines()[-1]
        complaint = tilewright("run", path, "-d", "oracle").complaint
        assert complaint.startswith("tilewright: bad.tw: instruction 1 (") and problem in complaint
        assert "--no-check" in complaint

    @pytest.mark.parametrize(
        ("case", "code"),
        [("behind a segment", "SEGMENT_LIMIT"), ("deadlock", "WATCHDOG"), ("opcode", "ILLEGAL_INSTRUCTION")],
    )
    @pytest.mark.parametrize("device", ["oracle", "native", "cycle"])
    def test_unchecked_the_core_stops(
        self, tilewright: Callable, tmp_path: Path, case: str, code: str, device: str
    ) -> None:
        path = made(tmp_path / "bad.tw", sync(Engine.LOAD), ILLEGAL[case][0])
        complaint = tilewright("run", path, "-d", device, "--no-check", "--watchdog", 2000).complaint
        assert complaint.endswith(f"on device {device}, but stopped with {code} at instruction 1")

    def test_unchecked_what_the_core_takes(self, tilewright: Callable, tmp_path: Path) -> None:
        assert tilewright("run", made(tmp_path / "odd.tw", UNBALANCED), "-d", "oracle", "--no-check").status == 0


class TestInputs:
    @pytest.mark.parametrize(
        ("arrays", "problem"),
        [
            ({}, r"input image \(float32 \(1, 1, 8, 8\)\) must be given"),
            ({"image": np.zeros((1, 8, 8), "f4")}, r"image must be float32 \(1, 1, 8, 8\), not float32 \(1, 8, 8\)"),
            ({"image": np.zeros((1, 1, 8, 8))}, r"image must be float32 \(1, 1, 8, 8\), not float64 \(1, 1, 8, 8\)"),
            ({"picture": np.zeros(1)}, "input picture is not one of the program's, which are image"),
        ],
    )
    def test_other_arrays(
        self, tilewright: Callable, digits: Path, tmp_path: Path, arrays: dict[str, np.ndarray], problem: str
    ) -> None:
        path = tmp_path / "in.npz"
        np.savez(path, **arrays)
        assert re.search(problem, tilewright("run", digits, "-i", path, "-d", "oracle").complaint)

    def test_files_that_are_something_else(self, tilewright: Callable, digits: Path, tmp_path: Path) -> None:
        def complaint(path: Path) -> str:
            return tilewright("run", digits, "-i", path, "-d", "oracle").complaint

        text, single, objects, odd = (tmp_path / name for name in ("in.txt", "in.npy", "objects.npz", "odd.npz"))
        text.write_text("1 2 3")
        np.save(single, np.zeros(3))
        np.savez(objects, image=np.array([{}], dtype=object))
        with zipfile.ZipFile(odd, "w") as archive:
            archive.writestr("image.npy", "no array")
        for path in (text, single):
            assert f"{path} must be an npz archive, and is not: make one with numpy.savez" in complaint(path)
        assert f"array image of {objects} must hold numbers, not Python objects" in complaint(objects)
        assert f"array image of {odd} must be a whole NumPy array, and is damaged" in complaint(odd)
        assert "no.npz does not exist" in complaint(tmp_path / "no.npz")
        assert "must be a file, not a folder" in complaint(tmp_path)

    def test_damaged_archives(self, tilewright: Callable, digits: Path, image: Path, tmp_path: Path) -> None:
        path = tmp_path / "damaged.npz"
        rng = np.random.default_rng(2)
        with np.load(image) as arrays:
            np.savez_compressed(path, **arrays)
        data = path.read_bytes()
        for length in range(0, len(data), 37):
            path.write_bytes(data[:length])
            assert "damaged.npz" in tilewright("run", digits, "-i", path, "-d", "oracle").complaint
        for _ in range(40):
            damaged = bytearray(data)
            damaged[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            ended = tilewright("run", digits, "-i", path, "-d", "oracle")
            assert ended.status == 0 or ended.complaint

    def test_none_at_all(self, tilewright: Callable, digits: Path) -> None:
        assert "input image" in tilewright("run", digits, "-d", "oracle").complaint


class TestOutputs:
    def test_places_are_looked_at_first(self, tilewright: Callable, digits: Path, image: Path, tmp_path: Path) -> None:
        for words in (
            ("config", "-o"),
            ("run", digits, "-i", image, "-o"),
            ("compile", DIGITS, "-o"),
            ("verilog", "-o"),
        ):
            missing, folder = tilewright(*words, tmp_path / "no" / "file"), tilewright(*words, tmp_path)
            assert f"no/file must be writable, but folder {tmp_path / 'no'} does not exist" in missing.complaint
            assert "must be writable, but it is a folder" in folder.complaint

    def test_a_full_disk(self, tilewright: Callable, digits: Path, image: Path) -> None:
        for words in (("config",), ("run", digits, "-i", image, "-d", "oracle"), ("compile", DIGITS, "-c", "tiny")):
            ended = tilewright(*words, "-o", "/dev/full")
            assert "/dev/full must be writable: No space left on device" in ended.complaint
        assert Path("/dev/full").is_char_device()

    def test_a_device_is_written_in_place(self, tilewright: Callable) -> None:
        assert tilewright("config", "-o", "/dev/null").status == 0
        assert Path("/dev/null").is_char_device()

    def test_an_existing_file_stays_where_writing_fails(
        self, tilewright: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(descriptor: int, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        path = tmp_path / "kept.toml"
        path.write_text("before")
        monkeypatch.setattr("tilewright.files.os.write", full)
        assert "No space left" in tilewright("config", "-o", path).complaint
        assert [entry.name for entry in tmp_path.iterdir()] == ["kept.toml"] and path.read_text() == "before"

    def test_a_link_stays_a_link(self, tilewright: Callable, tmp_path: Path) -> None:
        link, target = tmp_path / "link.toml", tmp_path / "target.toml"
        link.symlink_to(target)
        assert tilewright("config", "-o", link).status == 0
        assert link.is_symlink() and Config.from_toml(target.read_text()) == load_config("vta-16")


def model_of(path: Path, operator: str, shape: list[int | str]) -> Path:
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], name="odd/one")],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(path))
    return path


class TestModels:
    @pytest.fixture
    def complaint(self, tilewright: Callable, tmp_path: Path) -> Callable[[Path], str]:
        out = tmp_path / "out.tw"

        def compiled(model: Path) -> str:
            ended = tilewright("compile", model, "-c", "tiny", "-o", out)
            assert not out.exists()
            return ended.complaint

        return compiled

    def test_operators(self, complaint: Callable[[Path], str], tmp_path: Path) -> None:
        text = complaint(model_of(tmp_path / "m.onnx", "NonZero", [1, 4]))
        assert "NonZero" in text and "odd/one" in text

    def test_sizes(self, complaint: Callable[[Path], str], tmp_path: Path) -> None:
        assert "fixed size in dimension 1, not 'width'" in complaint(
            model_of(tmp_path / "m.onnx", "Relu", [1, "width"])
        )

    def test_files(self, complaint: Callable[[Path], str], tmp_path: Path, digits: Path) -> None:
        empty = tmp_path / "empty.onnx"
        empty.write_bytes(b"")
        assert "empty.onnx" in complaint(empty)
        assert "not a compiled program" in complaint(digits)
        other = tmp_path / "other.onnx"
        other.write_bytes(digits.read_bytes())
        assert "must be an ONNX file" in complaint(other)
        assert "must be a file, not a folder" in complaint(tmp_path)
        assert "no.onnx does not exist" in complaint(tmp_path / "no.onnx")

    def test_damaged(self, tilewright: Callable, tmp_path: Path) -> None:
        data, path = DIGITS.read_bytes(), tmp_path / "damaged.onnx"
        rng = np.random.default_rng(3)
        for length in (1, 100, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:length])
            assert "damaged" in tilewright("compile", path, "-c", "tiny", "-o", tmp_path / "out.tw").complaint
        for _ in range(25):
            damaged = bytearray(data)
            damaged[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            ended = tilewright("compile", path, "-c", "tiny", "-o", tmp_path / "out.tw")
            assert ended.status == 0 or ended.complaint


class TestConfigurations:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("block_in = 12", "block_in must be a power of two, not 12 (in odd.toml)"),
            ('name = "mine"\nblock_in = 12', "block_in must be a power of two, not 12 (in odd.toml)"),
            ("block_in = 1024", "block_in must be from 4 to 64, not 1024 (in odd.toml)"),
            ("block_in = '16'", "block_in must be a whole number, not '16' (in odd.toml)"),
            ("rows = true", "rows must be a whole number, not True (in odd.toml)"),
            ("blockin = 16", "blockin is not a parameter (in odd.toml); the parameters are name, rows, block_in"),
            ("block_in 16", "odd.toml must be TOML: Expected '=' after a key"),
            ("a = " + "[" * 5000, "odd.toml must be TOML"),
            ("rows = " + "9" * 5000, "odd.toml must be TOML"),
        ],
    )
    def test_files(self, tilewright: Callable, tmp_path: Path, text: str, problem: str) -> None:
        path = tmp_path / "odd.toml"
        path.write_text(text)
        assert problem in tilewright("config", path).complaint
        assert problem in tilewright("compile", DIGITS, "-c", path, "-o", tmp_path / "out.tw").complaint

    def test_names(self, tilewright: Callable, tmp_path: Path) -> None:
        complaint = tilewright("config", "vta-17").complaint
        assert f"must be a preset ({', '.join(PRESETS)}) or a TOML file, not 'vta-17'" in complaint
        assert "which is a folder" in tilewright("config", tmp_path).complaint
        binary = tmp_path / "binary.toml"
        binary.write_bytes(b"\xff\xfe")
        assert "must be readable text: it is not UTF-8" in tilewright("config", binary).complaint


class TestUsage:
    def test_commands_and_options(self, tilewright: Callable, digits: Path) -> None:
        assert "No such command 'go'; see tilewright --help" in tilewright("go").complaint
        assert "Missing option '--out'" in tilewright("compile", DIGITS).complaint
        assert "see tilewright run --help" in tilewright("run", digits, "-d", "fpga").complaint
        assert "--latency needs the cycle simulator" in tilewright("run", digits, "--latency", 5).complaint
        assert "--watchdog" in tilewright("run", digits, "--watchdog", 1 << 32).complaint

    def test_waveforms(self, tilewright: Callable, digits: Path, image: Path, tmp_path: Path) -> None:
        words = ("run", digits, "-i", image, "-d", "cycle", "--waveform")
        assert "ends in .fst or .vcd" in tilewright(*words, tmp_path / "wave.txt").complaint
        assert "does not exist" in tilewright(*words, tmp_path / "no" / "wave.fst").complaint

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("FINISH\nMUL a=1", "odd.s: line 2: an instruction must be one of FINISH, LOAD"),
            ("SYNC engine=DMA\nFINISH", "odd.s: line 1: SYNC engine must be LOAD, GEMM, VECTOR, STORE or a number"),
            ("SYNC engine=LOAD", "odd.s: the last instruction must be FINISH: add a line FINISH"),
            ("", "odd.s: the last instruction must be FINISH"),
        ],
    )
    def test_assembly(self, tilewright: Callable, tmp_path: Path, text: str, problem: str) -> None:
        path = tmp_path / "odd.s"
        path.write_text(text)
        assert problem in tilewright("assemble", path, "-o", tmp_path / "out.tw").complaint

    def test_assembly_files(self, tilewright: Callable, tmp_path: Path, image: Path) -> None:
        out = tmp_path / "out.tw"
        assert "does not exist" in tilewright("assemble", tmp_path / "no.s", "-o", out).complaint
        assert "must be UTF-8 text" in tilewright("assemble", image, "-o", out).complaint
        assert not out.exists()
