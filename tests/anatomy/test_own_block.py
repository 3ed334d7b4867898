"""Blocks as a reader may write them: right ones pass, and each usual mistake is named."""

from __future__ import annotations

from functools import partial

import pytest
from keras import layers

from factories import raises
from resnet50 import check_own_block, convolutional_block, identity_block


def conv_norm(x, channels, size=1, stride=1, epsilon=1.001e-5, **options):
    x = layers.Conv2D(channels, size, strides=stride, padding="same", **options)(x)
    return layers.BatchNormalization(epsilon=epsilon)(x)


def residual(x, filters, first=1, second=1):
    x = layers.ReLU()(conv_norm(x, filters[0], stride=first))
    x = layers.ReLU()(conv_norm(x, filters[1], 3, stride=second))
    return conv_norm(x, filters[2])


def own_identity(x, filters, name):
    return layers.ReLU()(layers.Add()([residual(x, filters), x]))


def own_convolutional(x, filters, name, *, first=2, second=1):
    return layers.ReLU()(residual(x, filters, first, second) + conv_norm(x, filters[2], stride=2, use_bias=False))


@pytest.mark.parametrize(("own", "library"), [(own_identity, identity_block), (own_convolutional, convolutional_block)])
def test_a_block_that_computes_the_same_is_right(own, library):
    """Its layers have other names, another order, another ReLU, and one convolution has no bias."""
    found = check_own_block(own, library)
    assert found.is_right, str(found)
    assert found.difference < 1e-5
    assert found.numbers == (2 * 9 * 8 * 10 if library is identity_block else 2 * 5 * 4 * 10)
    assert str(found).startswith(f"right: {found.numbers:,} numbers")


def without_relu(x, filters, name):
    return layers.Add()([residual(x, filters), x])


def without_shortcut(x, filters, name):
    return layers.ReLU()(residual(x, filters))


def relu_before(x, filters, name):
    return layers.ReLU()(residual(x, filters)) + x


def relu_twice(x, filters, name):
    return layers.ReLU()(layers.ReLU()(residual(x, filters)) + x)


def linear_inside(x, filters, name):
    y = conv_norm(conv_norm(x, filters[0]), filters[1], 3)
    return layers.ReLU()(conv_norm(y, filters[2]) + x)


def no_last_norm(x, filters, name):
    y = layers.ReLU()(conv_norm(x, filters[0]))
    y = layers.ReLU()(conv_norm(y, filters[1], 3))
    return layers.ReLU()(layers.Conv2D(filters[2], 1)(y) + x)


def other_epsilon(x, filters, name):
    y = layers.ReLU()(conv_norm(x, filters[0], epsilon=1e-3))
    y = layers.ReLU()(conv_norm(y, filters[1], 3))
    return layers.ReLU()(conv_norm(y, filters[2]) + x)


def no_gamma(x, filters, name):
    y = layers.Conv2D(filters[0], 1)(x)
    y = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5, scale=False)(y))
    y = layers.ReLU()(conv_norm(y, filters[1], 3))
    return layers.ReLU()(conv_norm(y, filters[2]) + x)


def valid(x, filters, name):
    y = layers.ReLU()(conv_norm(x, filters[0]))
    y = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(layers.Conv2D(filters[1], 3)(y)))
    return layers.ReLU()(conv_norm(y, filters[2]))


def one_too_many(x, filters, name):
    return layers.ReLU()(conv_norm(residual(x, filters), 10, 3) + x)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (lambda x, filters, name: x, ("(1, 1, 10, 4)", "none")),
        (lambda x, filters, name: None, ("returns None",)),
        (lambda x, filters, name: 1 / 0, ("ZeroDivisionError",)),
        (without_relu, ("without a ReLU",)),
        (without_shortcut, ("relu(F(x))",)),
        (residual, ("TypeError",)),
        (lambda x, filters, name: residual(x, filters), ("F(x) alone",)),
        (relu_before, ("before the addition; ",)),
        (relu_twice, ("only the second",)),
        (linear_inside, ("differ by up to", "ReLU")),
        (no_last_norm, ("no batch norm", "(1, 1, 6, 10)")),
        (other_epsilon, ("epsilon 0.001", "1.001e-05")),
        (no_gamma, ("gamma", "(1, 1, 10, 4)")),
        (valid, ("(None, 7, 6, 10)", "(None, 9, 8, 10)")),
        (one_too_many, ("too many", "(3, 3, 10, 10)")),
    ],
)
def test_a_wrong_block_gets_a_hint(own, words):
    found = check_own_block(own, identity_block)
    assert not found.is_right
    assert str(found).startswith("not yet: ")
    for word in words:
        assert word in found.hint


def test_a_stride_in_the_other_place_is_v1_5():
    def padded(x, filters, name):
        y = layers.ReLU()(conv_norm(x, filters[0]))
        y = layers.ZeroPadding2D(1)(y)
        y = layers.Conv2D(filters[1], 3, strides=2)(y)
        y = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(y))
        return layers.ReLU()(conv_norm(y, filters[2]) + conv_norm(x, filters[2], stride=2))

    for own in (padded, partial(own_convolutional, first=1, second=2)):  # which pads at the end alone
        assert "v1.5" in check_own_block(own, convolutional_block).hint


def test_other_blocks_of_the_library_are_refused():
    with raises(ValueError, "identity_block", "convolutional_block"):
        check_own_block(own_identity, own_identity)
