"""The recipes for ImageNet, end to end on a few drawn images."""

from __future__ import annotations

from importlib.util import find_spec

import keras
import numpy as np
import pytest

from factories import write_image
from resnet50.data.pack_records import pack_records
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.datasets.source import DataSource
from resnet50.inference.classifier import Classifier
from resnet50.recipes import imagenet, imagenet_90
from resnet50.training.progress import Progress
from resnet50.training.train import resume, train


def test_the_numbers_are_the_published_ones():
    plain, procedure = imagenet_90.RECIPE, imagenet.RECIPE
    assert plain.batch_size * plain.gradient_accumulation_steps == 2048
    assert plain.last.learning_rate == pytest.approx(0.256 * 2048 / 256)
    assert (plain.momentum, plain.weight_decay, plain.label_smoothing) == (0.875, 3.0517578125e-05, 0.1)
    assert (plain.last.epochs, plain.last.warmup_epochs, plain.last.schedule) == (90, 8, "cosine")
    assert (plain.image_size / plain.fit.crop_ratio, plain.augmentation.crop_area) == (256, 0.08)
    assert procedure.batch_size * procedure.gradient_accumulation_steps == 2048
    assert (procedure.optimizer, procedure.last.learning_rate, procedure.weight_decay) == ("lamb", 0.008, 0.02)
    assert (procedure.last.epochs, procedure.last.warmup_epochs, procedure.last.schedule) == (100, 5, "cosine")
    assert (procedure.mixup, procedure.cutmix, procedure.augmentation.rand_augment) == (0.1, 1.0, 6)
    assert (procedure.train_image_size, round(procedure.image_size / procedure.fit.crop_ratio)) == (160, 236)
    assert imagenet.VARIANTS["classic"] == plain.change(name="imagenet")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> DatasetSplits:
    """Drawn signs in packed records, of which crops are cut from whole files; in memory where there is no package."""
    signs = DatasetSplits(*rendered_signs(train=48, test=12, image_size=48))
    if find_spec("array_record") is None:
        return signs
    folder = tmp_path_factory.mktemp("signs")
    for name, dataset in (("train", signs["train"]), ("val", signs["test"])):
        for index, (image, label) in enumerate(zip(dataset.images, dataset.labels, strict=True)):
            write_image(
                folder / "files" / name / str(label) / f"{index:02}.png", np.pad(image, ((0, 9), (0, 0), (0, 0)))
            )
    pack_records(folder / "files", folder / "records", shards=2)
    return DataSource("imagenet", folder / "records").load(48)


class Stop(Progress):
    """Interrupt the training before its second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def small(task, **changes):
    """Return a task's recipe for a tiny network, two epochs and batches of eight."""
    return task.RECIPE.lasting(2).change(
        stages=(("conv2", 1, (4, 6, 16), 1), ("conv3", 1, (5, 7, 24), 2)),
        image_size=48,
        fit=None,
        batch_size=8,
        gradient_accumulation_steps=4,  # of five or six batches: a step takes some of both epochs
        precision="float32",
        **changes,
    )


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))


@pytest.mark.slow
def test_imagenet_90_trains(images, tmp_path):
    run = train(small(imagenet_90), images, out=tmp_path / "run", progress=False)
    assert np.isfinite([row["loss"] for row in run.history]).all()
    assert Classifier.load(run.folder.model).recipe["optimizer"] == "sgd"


@pytest.mark.slow
def test_imagenet_trains_resumes_and_leaves_a_plain_model(images, tmp_path):
    recipe = small(imagenet, train_image_size=32, validation_split=0.2)
    whole = train(recipe, images, out=tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, images, out=tmp_path / "run", progress=Stop())
    resumed = resume(tmp_path / "run", images, progress=False)
    pairs = zip(resumed.classifier.model.get_weights(), whole.classifier.model.get_weights(), strict=True)
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)
    assert np.isfinite([row["loss"] for row in whole.history]).all()
    plain = keras.saving.load_model(whole.folder.model)
    probabilities = np.asarray(plain.predict_on_batch(images["test"].images[:3]))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)  # not logits
