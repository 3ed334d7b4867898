from __future__ import annotations

import keras
import numpy as np
import pytest

from factories import noise, tiny_model
from resnet50 import receptive_field
from resnet50.anatomy.views import field_box, filters_in_rgb, strongest_channels, strongest_patches
from resnet50.graph.geometry import ReceptiveField


@pytest.mark.parametrize(
    ("cell", "expected"),
    [((0, 0), (0, 0, 3, 3)), ((1, 2), (2, 6, 7, 11)), ((3, 3), (10, 10, 14, 14))],
)
def test_a_box_is_centered_on_its_cell_and_cut_at_the_edges(cell, expected):
    field = ReceptiveField((5, 5), (4, 4), (0.0, 0.0))  # pixel 4 is the center of cell 1: 2 to 6
    assert field_box(field, cell, (14, 14)) == expected


def test_the_strongest_channels_come_first():
    model, image = tiny_model(3, size=(32, 32), seed=3), noise(1, 32, 32, 3)[0]
    output = model.get_layer("conv2_block1_out").output
    maps = keras.Model(model.input, output).predict(image[None], verbose=0)[0]
    first, second = strongest_channels(model, {"y": output}, image, count=2)
    order = np.argsort(-maps.mean(axis=(0, 1)))
    assert [first.channel, second.channel] == order[:2].tolist()
    np.testing.assert_allclose(first.maps["y"], maps[..., order[0]], atol=1e-5)


def test_a_planted_patch_is_found():
    """A bright square in one image excites the channel that follows brightness, at its place."""
    model = tiny_model(3, size=(64, 64), seed=3)
    model.get_layer("conv1_conv").kernel.assign(np.ones((7, 7, 3, 64), "float32"))
    images = np.zeros((3, 64, 64, 3), np.uint8)
    images[1, 40:52, 8:20] = 255
    name = "pool1_pool"
    field = receptive_field(model, at=name)
    found = strongest_patches(model, images, {name: [0]}, {name: field}, count=1)
    (patch,) = found[name][0]
    top, left, bottom, right = patch.box
    assert patch.image == 1
    assert top < 46 < bottom
    assert left < 14 < right


def test_filters_act_on_rgb_whatever_lies_before_them():
    """The caffe normalization changes RGB to BGR."""
    plain, caffe = (tiny_model(3, size=(32, 32), seed=3, normalization=name) for name in (None, "caffe"))
    kernel = keras.ops.convert_to_numpy(caffe.get_layer("conv1_conv").kernel)
    found = filters_in_rgb(caffe, caffe.get_layer("conv1_conv"))
    np.testing.assert_allclose(found, kernel.transpose(3, 0, 1, 2)[..., ::-1], rtol=1e-3, atol=1e-6)
    kernel = keras.ops.convert_to_numpy(plain.get_layer("conv1_conv").kernel)
    found = filters_in_rgb(plain, plain.get_layer("conv1_conv"))
    ratio = found / kernel.transpose(3, 0, 1, 2)
    np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-2)
