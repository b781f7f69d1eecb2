"""Sets of addresses as whole numbers, beside sets."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tilewright.errors import ProgramError
from tilewright.isa.cell_sets import CellSet, common, meet, nest_cells, union, without

LOOPS = st.lists(st.tuples(st.integers(1, 5), st.integers(-40, 40)), max_size=4)


def of(addresses):
    low = min(addresses, default=0)
    return CellSet(low, sum(1 << address - low for address in set(addresses)))


@given(base=st.integers(0, 63), loops=LOOPS, width=st.sampled_from([1, 2, 8]), size=st.sampled_from([64, 256, 1 << 21]))
def test_nests(base, loops, width, size):
    bounds, strides = tuple(bound for bound, _ in loops), tuple(stride for _, stride in loops)
    points = itertools.product(*map(range, bounds))
    reached = [base + sum(i * s for i, s in zip(point, strides, strict=True)) for point in points]
    expected = {(address - address % width + n) % size for address in reached for n in range(width)}
    if size > 1 << 20 and min(reached) < 0:
        with pytest.raises(ProgramError, match="must stay below"):
            nest_cells(base, bounds, strides, size=size, width=width)
        return
    assert set(nest_cells(base, bounds, strides, size=size, width=width).addresses().tolist()) == expected


@given(base=st.integers(100, 200), loops=LOOPS, run=st.integers(1, 9))
def test_runs(base, loops, run):
    bounds, strides = tuple(bound for bound, _ in loops), tuple(stride for _, stride in loops)
    inner = nest_cells(base + 500, (*bounds, run), (*strides, 1), size=4096)
    assert np.array_equal(nest_cells(base + 500, bounds, strides, size=4096, run=run).addresses(), inner.addresses())


SETS = st.sets(st.integers(0, 80), min_size=1)


@given(one=SETS, other=SETS)
def test_sets(one, other):
    a, b = of(one), of(other)
    assert set(a.addresses().tolist()) == one
    assert meet(a, b) == meet(b, a) == bool(one & other)
    assert set(union(a, b).addresses().tolist()) == one | other
    assert set(without(a, b).addresses().tolist()) == one - other
    assert not one & other or set(common(a, b).addresses().tolist()) == one & other
