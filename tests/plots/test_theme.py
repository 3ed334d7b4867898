"""The package draws without a screen, without pyplot and without Keras."""

from __future__ import annotations

import subprocess
import sys

import pytest

from resnet50.plots import fonts, theme


def test_figures_need_neither_pyplot_nor_keras_to_be_imported():
    code = (
        "import sys, resnet50.plots.diagrams.architecture, resnet50.plots.training, resnet50.plots.images\n"
        "print(sorted({'keras', 'tensorflow', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_colors_mix_with_white_and_black():
    assert theme.tint("#ff0000", 0) == (1, 1, 1)
    assert theme.tint("#ff0000", 1) == theme.shade("#ff0000", 1) == (1, 0, 0)
    assert theme.shade("#ff0000", 0) == (0, 0, 0)


def test_texts_are_shortened_to_their_length():
    assert fonts.shortened("neutrophil", 10) == "neutrophil"
    assert fonts.shortened("neutrophil", 5) == "neut…"
    assert theme.text_width("", 12) == 0
    assert theme.text_width("wide", 12) < theme.text_width("wider", 12) < theme.text_width("wider", 12, "bold")


@pytest.mark.parametrize("text", ["$ \\frac $", "$x predicted as c$", "$a$", "\\$"])
def test_a_dollar_sign_begins_no_formula(text):
    assert theme.text_width(text, 12) == pytest.approx(theme.text_width(text.replace("$", "S"), 12), rel=0.2)
