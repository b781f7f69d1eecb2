"""``tilewright demo``: a trained network from its ONNX file to the RTL, checked all the way."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config import Config, load_config
from ..errors import DeviceError, ProgramError
from .files import config_option, out_option

if TYPE_CHECKING:
    import numpy as np

    from ..driver.session import Session
    from ..isa.program import Program

__all__ = ["demo"]

_DEVICES = ("oracle", "native", "cycle")
_LEAST_RIGHT = 0.97


@click.command()
@config_option
@click.option("--images", type=click.IntRange(1), help="Held-out digits to classify; all by default.")
@click.option("--oracle-images", type=click.IntRange(1), default=20, show_default=True, help="Of them on the oracle.")
@out_option(False, "the program, to keep it", "--save")
def demo(config: str, images: int | None, oracle_images: int, save: Path | None) -> None:
    """Classify handwritten digits on the oracle, the native simulator and the RTL, and compare them."""
    from ..models import DIGITS, DIGITS_TEST
    from .files import read_arrays

    chosen = load_config(config)
    test = read_arrays(DIGITS_TEST)
    pixels, labels = test["images"][:images], test["labels"][:images]
    program = _compile(DIGITS, chosen, save)
    reference = _reference(DIGITS, pixels)
    sessions = _open(program, chosen)
    try:
        predicted = _classify(program, sessions, pixels, oracle_images)
    finally:
        for session in sessions.values():
            session.device.close()
    _show(program, sessions["cycle"], pixels, labels, predicted, reference)
    _judge(labels, predicted["cycle"], reference.argmax(1), oracle_images)


def _compile(model: Path, config: Config, save: Path | None) -> "Program":
    from ..compiler.compile import compile_model

    click.echo(f"Compiling {model.name} for {config.name}: {config.macs_per_cycle} MACs a cycle.")
    program = compile_model(model, config)
    if save is not None:
        program.save(save)
    return program


def _reference(model: Path, pixels: "np.ndarray") -> "np.ndarray":
    """ONNX Runtime's probabilities, shape (n, 10)."""
    import numpy as np

    try:
        import onnxruntime
    except ImportError:
        raise ProgramError("the demo needs ONNX Runtime to compare with: pip install 'tilewright[demo]'") from None
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in pixels])


def _open(program: "Program", config: Config) -> "dict[str, Session]":
    """A session on each device; all devices have DRAM of the same size and base."""
    from ..driver.device import open_device
    from ..driver.session import Session
    from ..simulator.dram import Dram

    sessions = {}
    for name in _DEVICES:
        if name == "cycle":
            click.echo("Building the RTL under Verilator: about a minute the first time, cached after that.")
        options = {"trace": True} if name == "cycle" else {}
        device = open_device(name, config, dram=Dram(size=16 << 20), **options)
        sessions[name] = Session(program, device)
    return sessions


def _classify(
    program: "Program", sessions: "dict[str, Session]", pixels: "np.ndarray", oracle_images: int
) -> dict[str, list[int]]:
    """Predictions of every device, all memories compared after every image."""
    from rich.progress import Progress

    from ..simulator.agreement import memory_differences

    name, output = program.inputs[0].name, program.outputs[0].name
    predicted: dict[str, list[int]] = {device: [] for device in sessions}
    with Progress(transient=True) as progress:
        task = progress.add_task("Classifying digits", total=len(pixels))
        for number, image in enumerate(pixels):
            taking_part = [d for d in sessions if d != "oracle" or number < oracle_images]
            for device in taking_part:
                scores = sessions[device].run({name: image[None]})[output]
                predicted[device].append(int(scores.argmax()))
            first: Any = sessions[taking_part[0]].device
            for device in taking_part[1:]:
                other: Any = sessions[device].device
                for difference in memory_differences(first, other):
                    raise DeviceError(f"devices must agree on every memory, but after image {number}: {difference}")
            progress.advance(task)
    return predicted


def _show(
    program: "Program",
    session: "Session",
    pixels: "np.ndarray",
    labels: "np.ndarray",
    predicted: dict[str, list[int]],
    reference: "np.ndarray",
) -> None:
    from .report import print_layers

    print_layers(program, session.records, "cycle (RTL), one digit")
    cycles = sum(record.counters.get("cycles", 0) for record in session.records)
    click.echo(f"\n{cycles:,} cycles for one digit from start to done.\n")
    for line in _pictures(pixels[:8]):
        click.echo(line)
    rows = (
        [("label", labels)] + [(name, predicted[name]) for name in _DEVICES] + [("ONNX Runtime", reference.argmax(1))]
    )
    for name, values in rows:
        click.echo("".join(f"{int(value):^11}" for value in values[:8]) + f" {name}")


def _pictures(pixels: "np.ndarray") -> Sequence[str]:
    """Digits side by side, a character a pixel."""
    shades = " .:-=+*#%@"
    rows = []
    for y in range(pixels.shape[2]):
        digits = ("".join(shades[min(int(v * 10), 9)] for v in image[0, y]) for image in pixels)
        rows.append("".join(f" {digit}  " for digit in digits))
    return rows


def _judge(labels: "np.ndarray", predicted: Sequence[int], reference: "np.ndarray", oracle_images: int) -> None:
    import numpy as np

    right = float(np.mean(np.asarray(predicted) == labels))
    same = int(np.sum(np.asarray(predicted) == reference))
    compared = min(oracle_images, len(labels))
    click.echo(
        f"\n{right:.1%} of {len(labels)} held-out digits are right; "
        f"{same} of {len(labels)} predictions are ONNX Runtime's."
        f"\nAll memories agreed after every digit: native = RTL on {len(labels)}, oracle = native = RTL on {compared}."
    )
    if same != len(labels):
        raise DeviceError(f"every prediction must be ONNX Runtime's, and {len(labels) - same} are not")
    if right < _LEAST_RIGHT and len(labels) >= 100:
        raise DeviceError(f"at least {_LEAST_RIGHT:.0%} of the digits must be right, not {right:.1%}")
