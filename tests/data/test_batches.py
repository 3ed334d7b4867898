import keras
import numpy as np
import pytest

from resnet50.data.augmentation import Augmentation
from resnet50.data.batches import Batches
from resnet50.data.split import Split

CHANGES = Augmentation(shift=0.2, rotation=30, zoom=0.2, brightness=0.2, flip=True)


def made(n=21, side=8):
    """Pictures that are told apart by their first pixel."""
    images = np.random.default_rng(0).integers(0, 256, (n, side, side + 2, 3), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(n)
    return Split(images, np.arange(n) * 2 % 3, ("a", "b", "c"), tuple(map(str, range(n))), "some")


def seen(batches):
    """Which pictures each batch of the epoch holds."""
    return [images[:, 0, 0, 0].tolist() for images, _ in batches]


def test_keeps_the_order_of_the_split_unless_told_to_shuffle():
    split = made()
    batches = Batches(split, 8)
    assert len(batches) == 3
    assert seen(batches) == [list(range(8)), list(range(8, 16)), list(range(16, 21))]
    np.testing.assert_array_equal(np.concatenate([images for images, _ in batches]), split.images)


def test_holds_raw_pixels_and_one_hot_classes():
    images, classes = Batches(made(), 4)[1]
    assert (images.dtype, images.shape) == (np.uint8, (4, 8, 10, 3))
    assert classes.dtype == np.float32
    assert classes.tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]]  # pictures 4 to 7: classes 2, 1, 0, 2


def test_every_picture_comes_once_an_epoch_with_its_own_class():
    split = made()
    batches = Batches(split, 4, shuffle=True, seed=5)
    for epoch in range(4):
        batches.epoch = epoch
        pictures = [picture for batch in seen(batches) for picture in batch]
        assert sorted(pictures) == list(range(21))
        assert pictures != list(range(21))
        classes = np.concatenate([classes for _, classes in batches]).argmax(axis=1)
        assert classes.tolist() == [picture * 2 % 3 for picture in pictures]


def test_a_batch_hangs_on_seed_epoch_and_index_alone():
    def contents(order, *, seed=3):
        batches = Batches(made(), 4, shuffle=True, augmentation=CHANGES, seed=seed)
        found = {}
        for epoch, index in order:
            batches.epoch = epoch
            found[epoch, index] = tuple(array.tobytes() for array in batches[index])
        return found

    places = [(epoch, index) for epoch in range(3) for index in range(6)]
    expected = contents(places)
    assert contents(places[::-1]) == expected
    np.random.seed(1)
    shuffled = np.random.default_rng(0).permutation(places * 2).tolist()
    assert contents(map(tuple, shuffled)) == expected
    assert len(set(expected.values())) == len(places)
    other = contents(places, seed=4)
    assert not any(other[place] == expected[place] for place in places)


def test_orders_of_other_epochs_and_seeds_differ():
    orders = set()
    for seed in range(3):
        batches = Batches(made(), 21, shuffle=True, seed=seed)
        for epoch in range(3):
            batches.epoch = epoch
            orders.add(tuple(seen(batches)[0]))
    assert len(orders) == 9


def test_another_batch_size_changes_a_picture_alike():
    def by_class_and_picture(batch_size, shuffle):
        batches = Batches(made(), batch_size, shuffle=shuffle, augmentation=CHANGES, seed=1)
        batches.epoch = 2
        return sorted(image.tobytes() for images, _ in batches for image in images)

    expected = by_class_and_picture(4, shuffle=False)
    assert len(set(expected)) == 21
    for batch_size, shuffle in ((1, False), (7, True), (100, True)):
        assert by_class_and_picture(batch_size, shuffle) == expected


def test_does_not_change_the_pictures_of_the_split():
    split = made()
    before = split.images.tobytes()
    for images, _ in Batches(split, 4, augmentation=CHANGES):
        images[:] = 0  # a batch is a copy
    for images, _ in Batches(split, 4, augmentation=Augmentation()):
        images[:] = 0
    for images, _ in Batches(split, 4):
        images[:] = 0
    assert split.images.tobytes() == before


@pytest.mark.parametrize("index", [6, -1, 100])
def test_refuses_a_batch_that_is_not_there(index):
    with pytest.raises(IndexError, match=rf"^batch must be 0\.\.5, got {index}\.$"):
        Batches(made(), 4)[index]


@pytest.mark.parametrize(
    ("n", "options", "text"),
    [
        (21, {"batch_size": 0}, "^batch_size must be at least 1, got 0.$"),
        (21, {"batch_size": 4, "seed": -1}, "^seed must be 0 or more, got -1.$"),
        (0, {"batch_size": 4}, "^some: there are no pictures to make batches of.$"),
    ],
)
def test_refuses_what_makes_no_batches(n, options, text):
    split = made().take(range(n))
    with pytest.raises(ValueError, match=text):
        Batches(split, **options)


class Recorder(keras.Model):
    """Notes the first pixel of every picture that reaches a step."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.steps = []

    def train_step(self, data):
        self.steps.append(("train", np.asarray(data[0])[:, 0, 0, 0].astype(int).tolist()))
        return super().train_step(data)

    def test_step(self, data):
        self.steps.append(("test", np.asarray(data[0])[:, 0, 0, 0].astype(int).tolist()))
        return super().test_step(data)


class SetEpoch(keras.callbacks.Callback):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="records eager TensorFlow tensors")
@pytest.mark.parametrize("first", [0, 2])
def test_fit_sees_the_batches_of_the_epoch_it_is_in(first):
    split = made()
    batches, validation = Batches(split, 4, shuffle=True, seed=3), Batches(split.take(range(7)), 4)
    expected = []
    for epoch in range(first, 4):
        batches.epoch = epoch
        expected += [("train", pictures) for pictures in seen(batches)]
        expected += [("test", [0, 1, 2, 3]), ("test", [4, 5, 6])]
    batches.epoch = 0
    inputs = keras.Input((8, 10, 3))
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(inputs))
    model = Recorder(inputs, outputs)
    model.compile("sgd", "categorical_crossentropy", run_eagerly=True)
    options = {"initial_epoch": first, "epochs": 4, "shuffle": False, "verbose": 0}
    model.fit(batches, validation_data=validation, callbacks=[SetEpoch(batches)], **options)
    assert model.steps == expected
