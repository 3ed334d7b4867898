from __future__ import annotations

import numpy as np

from factories import png
from resnet50.plots.landscape import draw_loss_planes

STEPS = [-0.5, 0.0, 0.5]


def test_a_plane_for_each_setting_and_seed():
    planes = {"plain $x$": [np.full((3, 3), 2.0), np.full((3, 3), 30.0)], "residual": [np.eye(3) + 0.5] * 2}
    figure = draw_loss_planes(planes, STEPS)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["plain $x$, seed 0", "plain $x$, seed 1", "residual, seed 0", "residual, seed 1"]
    for axes in figure.axes:
        (dot,) = axes.lines
        assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0, 0)
    legend = [text.get_text() for text in figure.texts if " to " in text.get_text()]
    assert legend[0].startswith("0.5 to ")
    assert legend[-1].endswith(" to 30")
    assert png(figure).startswith(b"\x89PNG")


def test_one_loss_everywhere_can_be_drawn():
    assert png(draw_loss_planes({"zero": [np.zeros((3, 3))]}, STEPS)).startswith(b"\x89PNG")
