import pytest

from factories import raises
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions


def test_the_defaults():
    assert (
        ReadOptions(pattern=None, test_split=0.2, max_unreadable=0.1, groups=None, near_duplicates=True)
        == DEFAULT_OPTIONS
    )


@pytest.mark.parametrize("share", [0, 1, -0.5, 7.5, float("nan")])
def test_refuses_a_share_that_leaves_no_split(share):
    with raises(ValueError, "test_split", 0, 1, repr(share)):
        ReadOptions(test_split=share)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_refuses_a_share_of_more_than_all_files(share):
    with raises(ValueError, "max_unreadable", 0, 1, repr(share)):
        ReadOptions(max_unreadable=share)


def test_all_or_no_files_may_be_unreadable():
    assert ReadOptions(max_unreadable=1).max_unreadable == 1
    assert ReadOptions(max_unreadable=0).max_unreadable == 0
