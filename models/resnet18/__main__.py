"""Write ResNet-18, or one of its convolutions alone, as an ONNX file."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ...errors import TilewrightError
from ...files import require_place, write_file
from .network import LAYERS

_SMALLEST = 32
_USER_ERROR = 2


def _size(text: str) -> int:
    size = int(text)
    if size < _SMALLEST or size % _SMALLEST:
        raise argparse.ArgumentTypeError(f"must be a multiple of {_SMALLEST}, not {size}")
    return size


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, not {seed}")
    return seed


def main(words: Sequence[str] | None = None) -> None:
    """The command with the arguments `words`, by default those of the process."""
    parser = argparse.ArgumentParser(prog="python -m tilewright.models.resnet18", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True, help="file for the model")
    parser.add_argument("--seed", type=_seed, default=0, help="of weights and calibration image (default 0)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--size", type=_size, default=224, help="height and width of the image (default 224)")
    what.add_argument("--layer", choices=list(LAYERS), help="this convolution alone, instead of the network")
    given = parser.parse_args(words)
    try:
        require_place(given.out, "output file", error=TilewrightError)
        from .quantise import build_layer, build_network  # not before the arguments are right: it is heavy

        if given.layer:
            model = build_layer(given.layer, seed=given.seed)
        else:
            model = build_network(seed=given.seed, size=given.size)
        write_file(given.out, model.SerializeToString(deterministic=True), "output file", error=TilewrightError)
    except TilewrightError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(_USER_ERROR)


if __name__ == "__main__":
    main()
