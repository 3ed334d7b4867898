"""Networks that compute in bfloat16: near the float32 ones, with input, normalization and output in float32."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from factories import noise, tiny_model
from resnet50.conventions import V1_5
from resnet50.graph.bfloat16 import in_bfloat16
from resnet50.graph.fold_model import fold_batch_norm

IMAGES = noise(5, 32, 40, 3).astype(np.float32)


def dtypes(model):
    return {layer.name: layer.dtype_policy.compute_dtype for layer in model.layers if isinstance(layer, keras.Layer)}


def assert_near(found, expected):
    """Bfloat16 has eight bits: the copy is not the same, and not far."""
    expected = np.asarray(expected)
    difference = np.abs(np.asarray(found) - expected).max()
    assert 0 < difference < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("options", [{}, {"conventions": V1_5, "normalization": "caffe"}, {"head": "norm"}])
def test_a_folded_network_in_bfloat16_is_near_the_whole_one(options):
    whole = tiny_model(seed=1, **options)
    folded = fold_batch_norm(whole, precision="bfloat16")
    assert_near(folded.predict_on_batch(IMAGES), whole.predict_on_batch(IMAGES))
    found = dtypes(folded)
    float32 = {name for name, dtype in found.items() if dtype == "float32"}
    expected = {"image", "normalization", "predictions", "head_bn"}
    assert float32 == expected & set(found)
    assert set(found.values()) == {"float32", "bfloat16"}
    assert folded.get_layer("conv2_block1_1_conv").kernel.dtype == "bfloat16"
    assert folded.output.dtype == "float32"


def test_float32_stays_the_precision_unless_another_is_asked_for():
    whole = tiny_model(seed=1)
    assert set(dtypes(fold_batch_norm(whole)).values()) == {"float32"}
    np.testing.assert_allclose(
        fold_batch_norm(whole, precision="float32").predict_on_batch(IMAGES), whole.predict_on_batch(IMAGES), atol=1e-5
    )


def test_a_part_of_a_network_gives_its_output_in_float32():
    whole = tiny_model(seed=1)
    for name in ("avg_pool", "conv2_block2_out"):
        part = keras.Model(whole.input, whole.get_layer(name).output)
        folded = fold_batch_norm(part, precision="bfloat16")
        found = folded.predict_on_batch(IMAGES)
        assert found.dtype == np.float32
        assert_near(found, part.predict_on_batch(IMAGES))


def test_a_copy_in_bfloat16_leaves_the_model_alone():
    folded = fold_batch_norm(tiny_model(seed=1))
    before = [weight.copy() for weight in folded.get_weights()]
    copy = in_bfloat16(folded)
    assert_near(copy.predict_on_batch(IMAGES), folded.predict_on_batch(IMAGES))
    assert set(dtypes(folded).values()) == {"float32"}
    assert dtypes(copy)["conv1_conv"] == "bfloat16"
    assert dtypes(copy)["image"] == dtypes(copy)["normalization"] == dtypes(copy)["predictions"] == "float32"
    for old, new in zip(before, folded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
