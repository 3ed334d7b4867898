import numpy as np
import pytest

from factories import raises
from resnet50.data.rows import Rows

ARRAY = np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3)
ORDER = [4, 0, 0, 2]


@pytest.fixture
def rows():
    return Rows(ARRAY, np.array(ORDER))


@pytest.mark.parametrize(
    "key", [0, -1, np.int64(2), slice(1, 3), slice(0), slice(None, None, -2), [3, 3, 1], np.array([-1, 0])]
)
def test_indexed_as_an_array_is(rows, key):
    expected = ARRAY[ORDER][key]
    assert isinstance(rows[key], np.ndarray)
    assert (rows[key].shape, rows[key].dtype) == (expected.shape, np.uint8)
    np.testing.assert_array_equal(rows[key], expected)


def test_has_the_shape_of_what_it_holds(rows):
    assert (rows.shape, rows.ndim, rows.dtype, len(rows)) == ((4, 2, 3), 3, np.uint8, 4)


def test_becomes_an_array_and_is_looped_over(rows):
    np.testing.assert_array_equal(np.asarray(rows), ARRAY[ORDER])
    np.testing.assert_array_equal(list(rows), ARRAY[ORDER])
    assert np.asarray(rows, np.float32).dtype == np.float32
    assert np.array(rows, copy=True).tolist() == ARRAY[ORDER].tolist()
    with raises(ValueError, "copy=False"):
        np.array(rows, copy=False)


def test_takes_of_what_was_taken(rows):
    again = rows.take(np.array([3, 0, -2]))
    assert isinstance(again, Rows)
    np.testing.assert_array_equal(again, ARRAY[[2, 4, 0]])


@pytest.mark.parametrize("key", [4, -5, [0, 4]])
def test_refuses_what_is_not_there(rows, key):
    with pytest.raises(IndexError):
        rows[key]
    with pytest.raises(IndexError):
        rows.take(np.array(key))
