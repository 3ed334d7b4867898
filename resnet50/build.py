"""The complete classifier: normalization, features, head and weights in one flat graph."""

from __future__ import annotations

import os
from collections.abc import Sequence

import keras

from resnet50._io.keras_settings import keras_defaults
from resnet50.conventions import V1, Conventions
from resnet50.forms import Form, find_form
from resnet50.heads import Head, find_head
from resnet50.model import STAGES, Stage, check_classes, check_input_shape, count_layers, features, find_stem
from resnet50.weights.normalization import NORMALIZATIONS, UNKNOWN, normalize
from resnet50.weights.read import WeightsFile, read_fitting
from resnet50.weights.transfer import load_weights


@keras_defaults()
def build_resnet50(
    classes: int = 6,
    *,
    input_shape: tuple[int | None, int | None, int] = (64, 64, 3),
    weights: str | os.PathLike[str] | WeightsFile | None = None,
    normalization: str | None = None,
    head: str | Head = "linear",
    stem: str = "imagenet",
    conventions: Conventions | None = None,
    stages: Sequence[Stage] = STAGES,
    form: str | Form = "residual",
    adapt_stem: bool = False,
) -> keras.Model:
    """Build a complete classifier: raw images in, class probabilities out, as one flat functional model.

    Pretrained weights determine the conventions and the normalization. A head that does not fit them, because it is for
    other classes for example, keeps its random weights; `resnet50.weights.load_weights` reports what was loaded.

    Args:
        classes: Number of classes, at least 2.
        input_shape: ``(height, width, 3)``, each at least 32 pixels, or None for any size.
        weights: None to train from scratch; a name in `resnet50.weights.REGISTRY`, such as ``"imagenet"`` or
            ``"timm/a1_in1k"``, downloaded if it is not cached; a file that `resnet50.weights.read_weights` reads, or
            its result.
        normalization: Row of `resnet50.weights.NORMALIZATIONS`; None for the one that the weights expect, and
            ``"symmetric"`` from scratch.
        head: Row of `resnet50.heads.HEADS`, or a function ``(features, classes) -> probabilities``.
        stem: Row of `resnet50.model.STEMS`.
        conventions: None for those of the weights, or `V1` from scratch, both with the settings for training of
            `Conventions.from_scratch`.
        stages: The table of stages: a column of `resnet50.model.TABLE_1`, or your own. A smaller one makes a smaller
            network, for tests and teaching. The model is named after its number of layers.
        form: Row of `resnet50.forms.FORMS`, or a form.
        adapt_stem: Whether images may have one channel, or more than three. The first kernel of weights for RGB is then
            summed or repeated (`resnet50.weights.transfer.adapt_kernel`), and the normalization averaged.

    Returns:
        Model from RGB ``(N, H, W, 3)``, 0..255 (uint8 or float), to float32 ``(N, classes)``, 0..1, each row summing
        to 1.

    Raises:
        ValueError: If an argument is not as described, or the weights do not fit.
        FileNotFoundError: If the weights file does not exist.
    """
    if check_classes(classes) < 2:
        raise ValueError(f"expected at least 2 classes, got {classes}.")
    if len(input_shape) != 3 or (input_shape[-1] != 3 and not adapt_stem):
        raise ValueError(
            f"expected input_shape to be (height, width, 3) for RGB images, got {input_shape!r}; "
            "adapt_stem=True allows other channels."
        )
    inputs = keras.Input(check_input_shape(input_shape), name="image")
    find_stem(stem)
    form, head = find_form(form), find_head(head)  # all before the weights are fetched
    depth = count_layers(stages)
    file = None if weights is None else read_fitting(weights, depth)
    if normalization is None:
        normalization = "symmetric" if file is None else file.normalization
        if file is not None and normalization == UNKNOWN:
            raise ValueError(
                f"{file.origin}: expected a file that states how its network normalizes pixels, got one that does not; "
                f"set normalization to one of {', '.join(NORMALIZATIONS)}."
            )
    if conventions is None:
        conventions = V1.from_scratch() if file is None else file.conventions
    x = normalize(inputs, normalization)
    x = features(x, stem=stem, conventions=conventions, stages=stages, form=form)
    model = keras.Model(inputs, head(x, classes), name=f"resnet{depth}")
    if file is not None:
        load_weights(model, file, adapt_stem=adapt_stem)
    return model
