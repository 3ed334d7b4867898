"""The notebook on transfer runs from top to bottom, on random weights, few images and for one epoch a phase."""

from __future__ import annotations

import re

import pytest

from resnet50 import build_resnet50, save_weights
from resnet50.datasets.rendered_signs import write_rendered_signs

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")]


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["torchvision", "keras"])
def test_the_notebook_runs(layout, tmp_path, run_notebook):
    """On random weights of its own, and on a file in the layout of the first weights that it proposes."""
    weights, read = None, r"\btorchvision\b.*\b107\b.*\bv1\.5\b.*'torch'"
    if layout == "keras":
        weights, read = str(tmp_path / "imagenet.h5"), r"\bkeras\b.*\b107\b.*\bv1\b(?!\.5).*'caffe'"
        model = build_resnet50(1000, normalization="caffe")
        model.get_layer("conv1_bn").moving_variance.assign([1e4] * 64)  # as frozen statistics fit pixels up to 255
        save_weights(model, weights, layout="keras")
    write_rendered_signs(tmp_path, train=72, test=12)
    outputs = run_notebook("transfer.ipynb", WEIGHTS=weights, DATA=str(tmp_path), EPOCHS=1)
    printed = outputs.printed
    assert outputs.images == 1
    assert ("random.safetensors" in printed) == (weights is None)
    assert re.search(read, printed)
    assert re.search(r"\b60\b.*\b12\b", printed)  # ten images of each class, and the test images
    assert re.search(r"\b106\b.*\b1\b", printed)  # layers that were loaded, and that were not
    assert re.search(r"\bpredictions\b.*\b1000\b.*\b6\b", printed)
    # the head alone; then every convolution and the head, but no batch norm
    assert re.search(r"\b12,294\b.*\{'conv1': 0, 'conv2': 0, ", printed)
    assert "{'conv1': 1, 'conv2': 10, 'conv3': 13, 'conv4': 19, 'conv5': 10, 'head': 1}" in printed
    assert "statistics unchanged: True" in printed
    assert re.search(r"\b107\b.*\b0\b", printed)  # layers of the saved network that were loaded, and that were not
    assert outputs.warned == ""
