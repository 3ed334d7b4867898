import numpy as np
import pytest

from resnet50.data.headers import Headers
from resnet50.data.images import Header

WIDE, GRAY = Header(40, 30, "RGB", "JPEG", False), Header(20, 20, "L", "PNG", True)


def test_equal_headers_are_one_object_in_the_order_of_their_files():
    given = [WIDE, None, Header(40, 30, "RGB", "JPEG", False), GRAY, None]
    headers = Headers.of(iter(given))
    assert list(headers) == given
    assert headers == given
    assert headers[0] is headers[2]
    assert headers[-1] is None
    assert headers != given[:-1]
    assert headers != [*given[:-1], GRAY]
    assert len(headers) == 5
    assert len(repr(headers)) < 50


def test_some_of_them():
    headers = Headers.of([WIDE, None, GRAY])
    assert headers.select(np.array([2, 2, 0])) == [GRAY, GRAY, WIDE]
    assert headers[1:] == [None, GRAY]
    assert headers.select(np.array([], int)) == Headers.of([]) == []
    with pytest.raises(IndexError):
        headers[3]
