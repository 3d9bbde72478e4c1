"""What travels must come back as what was sent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vit_widgets.widgets.wire import LEVELS, ZERO, nbytes, pack, pack_maps, pack_signed_maps, unpack

SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, max_side=5)


@given(arrays.arrays(np.float32, SHAPES))
def test_floats_come_back_bit_for_bit(array):
    """Breaks when order, byte order or shape is lost, NaN and infinity included."""
    back = unpack(pack(array))
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@given(arrays.arrays(np.uint8, SHAPES))
def test_pixels_come_back_raw(array):
    """Breaks when 255, which is "no value" on maps, is lost from pictures."""
    assert np.array_equal(unpack(pack(array, curve="raw")), array)


@given(
    arrays.arrays(np.float32, SHAPES, elements=st.floats(0, 1e6, width=32) | st.just(float("nan")))
)
def test_maps_are_within_half_a_level_of_what_they_were(maps):
    """Breaks when a map borrows another's scale, or a missing cell gets a value."""
    back = unpack(pack_maps(maps))
    assert np.array_equal(np.isnan(back), np.isnan(maps))
    top = np.nanmax(np.where(np.isnan(maps), 0, maps), axis=-1, keepdims=True, initial=0)
    # Half a level of the square root, as an error of the value.
    bound = top * (1 / LEVELS + 1 / (4 * LEVELS**2)) + 1e-30
    assert np.all(np.isnan(maps) | (np.abs(back - maps) <= bound * 1.001))


@given(
    arrays.arrays(
        np.float32, SHAPES, elements=st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))
    )
)
def test_signed_maps_are_within_half_a_level_of_what_they_were(maps):
    """Breaks when a sign is lost, zero moves, or one side of zero has other levels."""
    back = unpack(pack_signed_maps(maps))
    assert np.array_equal(np.isnan(back), np.isnan(maps))
    top = np.abs(np.nan_to_num(maps)).max(axis=-1, keepdims=True, initial=0)
    bound = top * (1 / ZERO + 1 / (4 * ZERO**2)) + 1e-30
    assert np.all(np.isnan(maps) | (np.abs(back - maps) <= bound * 1.001))
    assert np.all(np.isnan(maps) | (back * maps >= 0))
    assert np.array_equal(unpack(pack_signed_maps(-maps)), -back, equal_nan=True)


def test_zero_stays_zero_and_the_maximum_stays_exact():
    """Breaks when a masked pair would show a trace of attention."""
    back = unpack(pack_maps(np.array([[0, 1e-9, 0.3], [0, 0, 0]], np.float32)))
    assert back[0, 0] == 0
    assert back[0, 2] == np.float32(0.3)
    assert (back[1] == 0).all()
    signed = pack_signed_maps(np.array([[0, 0.3, -0.2], [0, 0, 0]], np.float32))
    assert list(signed["view"])[::3] == [127, 127]
    assert unpack(signed)[0, 1] == np.float32(0.3)


def test_what_a_browser_has_no_array_for_is_narrowed_or_refused():
    """Breaks when 64-bit values would reach a page that cannot read them."""
    assert pack(np.arange(3))["dtype"] == "i4"
    assert pack(np.zeros(2))["dtype"] == "f4"
    assert pack(np.array([True]))["dtype"] == "u1"
    with pytest.raises(OverflowError, match="32 bits"):
        pack(np.array([2**40]))
    with pytest.raises(TypeError, match="real numbers"):
        pack(np.array(["a"]))
    with pytest.raises(ValueError, match="not negative"):
        pack_maps(np.array([-0.1]))


def test_bytes_are_counted_wherever_they_are():
    """Breaks when the benchmarks would report less than what is sent."""
    assert nbytes({"a": [pack(np.zeros(3)), None], "b": {"view": b"xy"}}) == 14
