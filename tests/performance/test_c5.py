"""ResNet-18's C5 (3×3, 128 → 128 channels, 28×28), scheduled by hand on vta-16.

It shows what the machine itself can reach, apart from the compiler: `make bench` prints it.
"""

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.driver.device import open_device
from tilewright.isa.instruction import finish, gemm, load, store, sync, vector
from tilewright.isa.launch import Launch
from tilewright.isa.table import Engine, ErrorCode, Function, Memory

CHANNELS, SIZE, BLOCK = 128, 28, 16
GROUPS = CHANNELS // BLOCK
TILE_ROWS = 7
CELLS = TILE_ROWS * SIZE
TAPS = GROUPS * 9
PADDED = SIZE + 2
ACT_ROW = GROUPS * PADDED
STAGING = PADDED * ACT_ROW
ACC_BANKS, ACC_BANK = 4, 256
FLOOR = SIZE * SIZE * CHANNELS * CHANNELS * 9 // 256
WEIGHTS, INPUT, OUTPUT, BIAS, SCALE = range(5)


def _load_weights(group):
    return load(
        memory=Memory.WGT, segment=WEIGHTS, offset=group * TAPS * 256, bounds=[TAPS],
        mem=(group * TAPS, [1]), signal=[Engine.GEMM],
    )  # fmt: skip


def _load_rows(first, last):
    """Image rows first..last-1 of all channel groups, into the padded frame."""
    return load(
        memory=Memory.ACT, segment=INPUT, offset=first * SIZE * BLOCK, bounds=[last - first, GROUPS, SIZE],
        dram_strides=[SIZE * BLOCK, SIZE * SIZE * BLOCK],
        mem=((first + 1) * ACT_ROW + 1, [ACT_ROW, PADDED, 1]), signal=[Engine.GEMM],
    )  # fmt: skip


def _frame():
    """Zero the padding: two rows, two columns."""
    return [
        vector(function=Function.ZERO, bounds=[2, ACT_ROW], dst=(Memory.ACT, 0, [(PADDED - 1) * ACT_ROW, 1])),
        vector(
            function=Function.ZERO, bounds=[SIZE * GROUPS, 2], dst=(Memory.ACT, ACT_ROW, [PADDED, PADDED - 1]),
            signal=[Engine.GEMM],
        ),
    ]  # fmt: skip


def _tile(number, weights_arrive, rows_arrive):
    """One co-block of 7 output rows: products, requantisation, store."""
    strip, group = divmod(number, GROUPS)
    acc = number % ACC_BANKS * ACC_BANK
    staging = STAGING + number % 2 * CELLS
    waits = [Engine.LOAD] if weights_arrive or rows_arrive else []
    if number == 0 or number >= ACC_BANKS:
        waits.append(Engine.VECTOR)
    last_strip = number + ACC_BANKS >= 4 * GROUPS
    return [
        gemm(
            bounds=[GROUPS, 3, 3, TILE_ROWS, SIZE],
            act=(strip * TILE_ROWS * ACT_ROW, [PADDED, ACT_ROW, 1, ACT_ROW, 1]),
            wgt=(group * TAPS, [9, 3, 1, 0, 0]),
            acc=(acc, [0, 0, 0, SIZE, 1]),
            overwrite=[0, 1, 2], wait=waits, signal=[Engine.VECTOR],
        ),
        vector(
            function=Function.SUM, bounds=[CELLS], a=(Memory.ACC, acc, [1]), dst=(Memory.ACT, staging, [1]),
            bias=group, scale=group, wait=[Engine.GEMM] + ([Engine.STORE] if number >= 2 else []),
            signal=[Engine.STORE] + ([] if last_strip else [Engine.GEMM]),
        ),
        store(
            memory=Memory.ACT, segment=OUTPUT, offset=(group * SIZE + strip * TILE_ROWS) * SIZE * BLOCK,
            bounds=[CELLS], mem=(staging, [1]), wait=[Engine.VECTOR],
            signal=[Engine.VECTOR] if number + 2 < 4 * GROUPS else [],
        ),
    ]  # fmt: skip


def _program():
    """Loads run ahead of the tiles that need them; a queue's depth is what keeps them apart."""
    instructions = [
        _load_weights(0),
        *_frame(),
        load(memory=Memory.BIAS, segment=BIAS, offset=0, bounds=[GROUPS], mem=(0, [1])),
        load(memory=Memory.SCALE, segment=SCALE, offset=0, bounds=[GROUPS], mem=(0, [1])),
        _load_rows(0, TILE_ROWS + 1),
    ]
    instructions.append(sync(Engine.GEMM, wait=[Engine.LOAD]))
    instructions += _tile(0, True, False)
    for number in range(1, 4 * GROUPS):
        strip, group = divmod(number, GROUPS)
        if strip == 0:
            instructions.append(_load_weights(group))
        elif group == 0:
            first = strip * TILE_ROWS + 1
            instructions.append(_load_rows(first, min(first + TILE_ROWS, SIZE)))
        instructions += _tile(number, strip == 0, group == 0)
    return [*instructions, finish()]


def _data(rng):
    x = rng.integers(-128, 128, (CHANNELS, SIZE, SIZE)).astype(np.int8)
    w = rng.integers(-128, 128, (CHANNELS, CHANNELS, 3, 3)).astype(np.int8)
    bias = rng.integers(-(2**16), 2**16, CHANNELS).astype(np.int32)
    shift = 12
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    total = np.einsum("cyxij,ocij->oyx", patches, w.astype(np.float64), optimize=True).astype(np.int64)
    total += bias[:, None, None]
    expected = np.clip((total + (1 << (shift - 1))) >> shift, -128, 127).astype(np.int8)
    return x, w, bias, shift, expected


def _blocked(x):
    return x.reshape(GROUPS, BLOCK, SIZE, SIZE).transpose(0, 2, 3, 1)


def run_c5(simulator):
    """Outcome of one run and whether every output byte is right."""
    x, w, bias, shift, expected = _data(np.random.default_rng(5))
    tiles = w.reshape(GROUPS, BLOCK, GROUPS, BLOCK, 3, 3).transpose(0, 2, 4, 5, 1, 3)
    scale = np.zeros(
        CHANNELS, dtype=[("multiplier", "<i4"), ("left", "u1"), ("right", "u1"), ("mode", "u1"), ("spare", "u1")]
    )
    scale["multiplier"], scale["right"], scale["mode"] = 1 << 30, shift - 1, 1
    images = [tiles, _blocked(x), np.zeros((GROUPS, SIZE, SIZE, BLOCK), np.int8), bias, scale]
    segments = []
    for image in images:
        raw = np.frombuffer(np.ascontiguousarray(image).tobytes(), np.uint8)
        segments.append((simulator.allocate(len(raw)), len(raw)))
        simulator.write(segments[-1][0], raw)
    code = b"".join(i.encode() for i in _program())
    base = simulator.allocate(len(code))
    simulator.write(base, np.frombuffer(code, np.uint8))
    outcome = simulator.run(Launch(base, len(code) // 64, tuple(segments)))
    output = simulator.read(*segments[OUTPUT]).view(np.int8)
    return outcome, np.array_equal(output, _blocked(expected).ravel())


@pytest.mark.parametrize("device", ["native", "cycle"])
def test_c5_is_right_and_near_its_roofline(device):
    simulator = open_device(device, load_config("vta-16"))
    outcome, right = run_c5(simulator)
    simulator.close()
    assert outcome.error is ErrorCode.NONE
    assert right
    if device == "cycle":
        cycles = outcome.counters["cycles"]
        print(f"\nC5 on vta-16: {cycles} cycles, floor {FLOOR}, {FLOOR / cycles:.1%} of the roofline")
        assert FLOOR / cycles >= 0.9
