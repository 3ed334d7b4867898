"""Out-of-fold predictions beside heads that are fitted one by one."""

from __future__ import annotations

import numpy as np
import pytest

from resnet50.training.linear_probe import LabeledFeatures, fit_linear_head
from resnet50.training.out_of_fold import predict_out_of_fold
from resnet50.training.phases import LinearProbe


def labeled(n=60, d=12, classes=3, noise=1.5):
    rng = np.random.default_rng(0)
    centers, labels = rng.normal(0, 1, (classes, d)), np.arange(n) % classes
    return (centers[labels] + rng.normal(0, noise, (n, d))).astype(np.float32), labels, rng.permutation(n) % 4


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def alone(features, labels, folds, fold, c):
    """The predictions of a fold by a head that is fitted to the others."""
    train = LabeledFeatures([features[folds != fold]], labels[folds != fold])
    head = fit_linear_head(LinearProbe(c_values=(c,)), train, None, classes=3)
    return softmax(features[folds == fold] @ head.kernel + head.bias)


@pytest.mark.parametrize("d", [12, 80])
def test_a_fold_is_predicted_by_a_head_of_the_others(d):
    features, labels, folds = labeled(d=d)
    seen = []
    found = predict_out_of_fold(
        LinearProbe(c_values=(0.1,)),
        LabeledFeatures([features], labels),
        folds,
        classes=3,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert found.c_values == (0.1,) * 4
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for fold in range(4):
        expected = alone(features, labels, folds, fold, 0.1)
        np.testing.assert_allclose(found.probabilities[folds == fold], expected, atol=0.01)


@pytest.mark.parametrize("noise", [0.5, 6.0])
def test_the_labels_of_a_fold_do_not_choose_its_c(noise):
    features, labels, folds = labeled(noise=noise)
    c_values = (0.0001, 0.01, 100.0)
    found = predict_out_of_fold(LinearProbe(c_values=c_values), LabeledFeatures([features], labels), folds, classes=3)
    losses = {}
    for fold in range(4):
        for c in c_values:
            chosen = alone(features, labels, folds, fold, c)[np.arange((folds == fold).sum()), labels[folds == fold]]
            losses[fold, c] = -np.log(chosen).sum()
    for fold in range(4):
        totals = {c: sum(losses[other, c] for other in range(4) if other != fold) for c in c_values}
        assert found.c_values[fold] == min(totals, key=totals.get)


def test_weights_of_images_count():
    features, labels, folds = labeled(noise=4)
    weights = np.where(labels == 0, 20.0, 1.0)
    plain, weighted = (
        predict_out_of_fold(LinearProbe(c_values=(0.1,)), LabeledFeatures([features], labels, each), folds, classes=3)
        for each in (None, weights)
    )
    assert weighted.probabilities[:, 0].mean() > plain.probabilities[:, 0].mean() + 0.1
