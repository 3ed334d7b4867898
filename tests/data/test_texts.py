from __future__ import annotations

import numpy as np
import pytest

from resnet50.data import texts as module
from resnet50.data.texts import Texts

PATHS = ("a/1.jpg", "", "b/\udce9.jpg", "é/猫.png", "a/1.jpg")  # the third has a byte that is not UTF-8


def test_texts_are_indexed_cut_and_iterated_like_a_tuple():
    texts = Texts.of(PATHS)
    assert tuple(texts) == PATHS
    assert [texts[k] for k in range(-5, 5)] == [PATHS[k] for k in range(-5, 5)]
    assert tuple(texts[1:4]) == PATHS[1:4]
    assert tuple(texts[::-2]) == PATHS[::-2]
    for index in (5, -6):
        with pytest.raises(IndexError):
            texts[index]
    assert tuple(Texts.of(())) == ()


def test_equality_is_that_of_the_texts():
    texts = Texts.of(PATHS)
    assert texts == PATHS
    assert texts == list(PATHS)
    assert texts[1:] == PATHS[1:]
    assert texts != PATHS[1:]
    assert texts != (*PATHS[:-1], "another")
    assert Texts.of("abc") != "abc"


def test_chosen_texts_share_their_bytes():
    texts = Texts.of(PATHS)
    chosen = texts.select(np.array([3, 0, 3])).select(np.array([1, 2]))
    assert tuple(chosen) == (PATHS[0], PATHS[3])
    assert tuple(texts.select(np.array([-1, -3]))) == (PATHS[4], PATHS[2])
    with pytest.raises(IndexError):
        texts.select(np.array([5]))
    assert np.shares_memory(chosen._content, texts._content)


def test_the_arrays_hold_the_chosen_texts():
    for texts in (Texts.of(PATHS), Texts.of(("x", *PATHS)).select(np.arange(1, 6))):
        content, ends = texts.arrays
        assert (content.dtype, ends.dtype) == (np.uint8, np.int64)
        assert ends.tolist() == [7, 7, 14, 24, 31]
        assert Texts(content, ends) == PATHS


def test_many_texts_are_iterated_block_by_block(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 2)
    assert tuple(Texts.of(PATHS)) == PATHS
