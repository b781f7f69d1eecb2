"""Train the digits network, quantise it and store it with its test images.

::

    python -m tilewright.models.digits.train [FOLDER]

The data are scikit-learn's bundled handwritten digits (1,797 images, 8×8, values 0 to 16, here divided by 16). `split`
holds 360 images back, the same share of each digit; they are neither trained on nor used to choose anything. Seeds are
fixed and the linear algebra runs on one thread, so that running the script again on the same machine gives the same
files (another CPU may round sums otherwise). It takes about a minute.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":  # before NumPy is loaded: results must not depend on the number of cores
    for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[_variable] = "1"

import numpy as np

from .. import DIGITS, DIGITS_TEST
from .network import Network
from .quantise import quantise

__all__ = ["main", "split", "train"]

SEED = 20
EPOCHS = 60
BATCH = 64
RATE = 3e-3
DECAY = 2e-2
HELD_OUT = 360


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, held-out images and labels; images (n, 8, 8, 1) float32 from 0 to 1."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    images = (pixels / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    parts = train_test_split(images, labels.astype(np.int64), test_size=HELD_OUT, stratify=labels, random_state=SEED)
    return parts[0], parts[2], parts[1], parts[3]


def train(images: np.ndarray, labels: np.ndarray, *, epochs: int = EPOCHS, seed: int = SEED) -> Network:
    """Cross-entropy, Adam, a cosine from `RATE` to 0; every image is shifted by up to a pixel each time it is seen."""
    network, rng = Network(seed), np.random.default_rng(seed + 1)
    batches = len(images) // BATCH
    for number in range(epochs * batches):
        if number % batches == 0:
            order = rng.permutation(len(images))
        chosen = order[number % batches * BATCH :][:BATCH]
        logits = network.forward(_shifted(images[chosen], rng))
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        gradient = odds / odds.sum(axis=1, keepdims=True)
        gradient[np.arange(len(chosen)), labels[chosen]] -= 1
        network.backward(gradient / np.float32(len(chosen)))
        rate = RATE * (1 + np.cos(np.pi * number / (epochs * batches))) / 2
        for parameter in network.parameters:
            parameter.step(rate, number + 1, DECAY if parameter.value.ndim > 1 else 0.0)
    return network


def _shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by -1, 0 or 1 pixels along each axis, mostly 0."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moves = rng.choice([0, 1, 1, 2], size=(len(images), 2))
    return np.stack([image[y : y + 8, x : x + 8] for image, (y, x) in zip(padded, moves, strict=True)])


def _answers(model: bytes, images: np.ndarray) -> np.ndarray:
    """ONNX Runtime's probabilities, one image at a time."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"image": image[None]})[0] for image in images])


def main(folder: Path | None = None) -> None:
    images, labels, test_images, test_labels = split()
    network = train(images, labels)
    exact = (network.forward(test_images).argmax(axis=1) == test_labels).mean()
    model = quantise(network, images).SerializeToString(deterministic=True)
    channels_first = np.ascontiguousarray(test_images.transpose(0, 3, 1, 2))
    probabilities = _answers(model, channels_first)
    right = (probabilities.argmax(axis=1) == test_labels).mean()
    print(f"held-out digits right: {exact:.2%} in float32, {right:.2%} in int8 (of {len(test_labels)})")
    model_path = folder / DIGITS.name if folder else DIGITS
    test_path = folder / DIGITS_TEST.name if folder else DIGITS_TEST
    model_path.write_bytes(model)
    np.savez_compressed(test_path, images=channels_first, labels=test_labels, probabilities=probabilities)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
