"""Which figures a report has, and what they say."""

from __future__ import annotations

import numpy as np
import pytest

from factories import dataset
from resnet50.data.splits import DatasetSplits
from resnet50.metrics.scores import score
from resnet50.reports.figures import report_figures
from resnet50.reports.results import Results
from resnet50.reports.training_summary import TrainingSummary


def figures(history, *, sure=0.9, right=150, recipe=None):
    """The figures of 300 images of two classes, of which each class has so many right, all predicted as sure."""
    test = dataset([0] * 150 + [1] * 150)
    predicted = [0] * right + [1] * (150 - right) + [1] * right + [0] * (150 - right)
    probabilities = np.full((300, 2), 1 - sure)
    probabilities[np.arange(300), predicted] = sure
    training = TrainingSummary("pets", recipe or {}, history)
    return report_figures(Results(score(probabilities, test), DatasetSplits(test, test), training, None))


def test_curves_need_the_loss_and_the_accuracy_of_an_epoch():
    assert "curves" in figures({"loss": [1.0], "accuracy": [0.5]})
    for history in ({}, {"loss": [1.0]}, {"loss": [], "accuracy": []}):
        assert "curves" not in figures(history)


def test_linear_probes_alone_have_no_curves():
    recipe = {"phases": [{"views": 1, "c_values": [1.0], "min_error": 0.0}, {"epochs": 3, "trainable": "all"}]}
    history = {"loss": [1.0, 0.5], "accuracy": [0.5, 0.75], "val_accuracy": [0.5, 0.25]}
    assert "curves" not in figures({name: [values[0]] for name, values in history.items()}, recipe=recipe)
    assert "curves" in figures(history | {"phase": [1, 2]}, recipe=recipe)


def test_the_message_of_the_curves_is_about_the_epoch_that_is_the_model():
    history = {"loss": [1.0, 0.5, 0.4], "accuracy": [0.5, 0.75, 1.0], "val_accuracy": [0.5, 0.625, 0.25]}
    assert "25.0%" in figures(history)["curves"].message
    assert "62.5%" in figures(history, recipe={"restore_best": True})["curves"].message


@pytest.mark.parametrize(("sure", "right", "calibrated"), [(0.9, 135, True), (0.9, 120, False), (0.99, 105, False)])
def test_the_calibration_is_called_by_twice_what_chance_gives(sure, right, calibrated):
    """Nine of ten right at a confidence of 90 % is calibrated; eight of ten is not, by far less than nine times."""
    good, bad = figures({}, sure=0.9, right=135)["reliability"].message, figures({}, sure=0.99, right=75)
    message = figures({}, sure=sure, right=right)["reliability"].message
    shape = [word for word in message.split() if word[0].isalpha()]
    assert (shape == [word for word in good.split() if word[0].isalpha()]) is calibrated
    assert (shape == [word for word in bad["reliability"].message.split() if word[0].isalpha()]) is not calibrated
