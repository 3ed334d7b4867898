"""The notebook on transfer runs from top to bottom, on random weights, few images and for one epoch a phase."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from factories import write_image
from resnet50 import build_resnet50, rendered_signs, save_weights

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")]


def write_signs(folder: Path) -> None:
    """Write drawn hands as files in folders of classes below train and test."""
    for split, dataset in zip(("train", "test"), rendered_signs(train=30, test=12), strict=True):
        for number, (image, label) in enumerate(zip(dataset.images, dataset.labels, strict=True)):
            write_image(folder / split / dataset.class_names[label] / f"{number}.png", image)


def check_two_phases(printed: str) -> None:
    """Check that the head trains first, then every convolution and the head, but no batch norm."""
    assert re.search(r"^phase 1: 150 ", printed, re.MULTILINE)
    assert "{'conv1': 1, 'conv2': 7, 'conv3': 7, 'head': 1}" in printed
    assert "statistics unchanged: True" in printed


@pytest.mark.slow
def test_the_notebook_runs_on_nothing(run_notebook):
    outputs = run_notebook(
        "transfer.ipynb", tiny="", WEIGHTS=None, DATA=None, IMAGE_SIZE=32, IMAGES_PER_CLASS=4, EPOCHS=1
    )
    printed = outputs.printed
    assert outputs.images == 2  # curves, predictions
    assert "random.safetensors" in printed
    assert re.search(r"\btorchvision\b.*\b31\b.*\n.*\bv1\.5\b.*'torch'", printed)
    assert re.search(r"rendered signs: .*\b24\b.*\b120\b", printed)
    assert re.search(r"\b30\b.*\b1\b", printed)  # layers that were loaded, and that were not
    assert re.search(r"\bpredictions\b.*\b1000\b.*\b6\b", printed)
    check_two_phases(printed)
    for name in ("pretrained", "from scratch"):
        assert re.search(rf"^{name}: .*% of 120 ", printed, re.MULTILINE)
    assert re.search(r"\b31\b.*\b0\b", printed)  # layers of the saved network that were loaded, and that were not
    assert len(re.findall(r"^true label: [0-5], ", printed, re.MULTILINE)) == 6
    assert outputs.warned == ""


@pytest.mark.slow
def test_the_notebook_runs_on_a_file_of_weights_and_a_folder_of_images(tmp_path, run_notebook, tiny_stages):
    weights = tmp_path / "imagenet.h5"
    model = build_resnet50(1000, normalization="caffe", stages=tiny_stages)
    model.get_layer("conv1_bn").moving_variance.assign([1e4] * 64)  # as frozen statistics fit pixels up to 255
    save_weights(model, weights, layout="keras")
    write_signs(tmp_path / "hands")
    outputs = run_notebook(
        "transfer.ipynb", tiny="", WEIGHTS=str(weights), DATA="hands", IMAGE_SIZE=64, IMAGES_PER_CLASS=3, EPOCHS=1
    )
    printed = outputs.printed
    assert "random.safetensors" not in printed
    assert re.search(r"\bkeras\b.*\b31\b.*\n.*\bv1\b(?!\.5).*'caffe'", printed)
    assert re.search(r"\b18\b.*\b12\b", printed)
    check_two_phases(printed)
    assert "trained.h5 (keras layout): 31 " in printed
    assert outputs.warned == ""
