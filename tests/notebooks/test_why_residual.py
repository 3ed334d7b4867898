"""The notebook on shortcuts, batch norm and depth runs from top to bottom, on few images and for one epoch."""

from __future__ import annotations

import re

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")]


@pytest.mark.slow
def test_the_notebook_runs(run_notebook):
    outputs = run_notebook("why_residual.ipynb", IMAGES=60, SEEDS=1, EPOCHS=1, BLOCKS=(3, 3, 3), CIFAR10=None, POINTS=3)
    printed = outputs.printed
    # sheet, losses, gradients, lines, planes, lesions, statistics, predictions
    assert outputs.images == 8
    assert re.search(r"^plain, 20 layers, seed 0: \d\.\d\d$", printed, re.MULTILINE)
    assert "this part is left out" in printed
    assert len(re.findall(r"^own_\w+_block: +not yet: ", printed, re.MULTILINE)) == 2
    assert len(re.findall(r"^solved_\w+_block: +right: [\d,]+ numbers", printed, re.MULTILINE)) == 2
    assert len(re.findall(r"true label", printed)) >= 1
    assert outputs.warned == ""
