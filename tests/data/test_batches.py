import keras
import numpy as np
import pytest

from factories import dataset, noise, raises
from resnet50.data.augmentation import Augmentation
from resnet50.data.batches import Batches
from resnet50.data.mixing import Mixing
from resnet50.data.random_crop import Resize
from resnet50.data.share import Share

CHANGES = Augmentation(shift=0.2, rotation=30, zoom=0.2, brightness=0.2, flip=True)


def made(n=21, image_size=8):
    """Images that differ in their first pixel."""
    images = noise(n, image_size, image_size + 2, 3)
    images[:, 0, 0, 0] = np.arange(n)
    return dataset(np.arange(n) * 2 % 3, "abc", images=images, name="some")


def seen(batches):
    """Which images each batch of the epoch holds."""
    return [images[:, 0, 0, 0].tolist() for images, _ in batches]


def test_keeps_the_order_of_the_dataset_unless_shuffled():
    labeled = made()
    batches = Batches(labeled, 8)
    assert len(batches) == 3
    assert seen(batches) == [list(range(8)), list(range(8, 16)), list(range(16, 21))]
    np.testing.assert_array_equal(np.concatenate([images for images, _ in batches]), labeled.images)


@pytest.mark.parametrize(
    ("images", "batch_size", "sizes"),
    [
        (33, 32, [16, 17]),  # not 32 and 1
        (34, 32, [17, 17]),
        (39, 32, [19, 20]),
        (40, 32, [32, 8]),  # a quarter is enough
        (65, 32, [21, 22, 22]),
        (64, 32, [32, 32]),
        (32, 32, [32]),
        (5, 32, [5]),
        (1, 32, [1]),
        (5, 4, [2, 3]),
        (6, 4, [3, 3]),
        (7, 4, [4, 3]),
        (3, 2, [1, 2]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_a_very_small_last_batch_is_shared_out(images, batch_size, sizes):
    labeled = made(images)
    batches = Batches(labeled, batch_size, share_last=True)
    assert [len(batch) for batch in seen(batches)] == sizes
    assert len(batches) == len(sizes)
    assert [image for batch in seen(batches) for image in batch] == list(range(images))


def test_shared_batches_are_of_two_sizes_at_most_and_as_many_as_before():
    for images in range(1, 140):
        for batch_size in (1, 2, 3, 8, 13, 32, 200):
            batches, plain = (Batches(made(images, 1), batch_size, share_last=shared) for shared in (True, False))
            sizes = [len(batch) for batch in seen(batches)]
            assert len(sizes) == len(plain) == len(batches)
            assert sum(sizes) == images
            assert len(set(sizes)) <= 2
            assert max(sizes) <= batch_size
            assert min(sizes) >= min(3, batch_size // 2, images)


def test_holds_raw_pixels_and_one_hot_classes():
    images, classes = Batches(made(), 4)[1]
    assert (images.dtype, images.shape) == (np.uint8, (4, 8, 10, 3))
    assert classes.dtype == np.float32
    assert classes.tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]]  # images 4 to 7: classes 2, 1, 0, 2


def test_every_image_comes_once_an_epoch_with_its_own_class():
    labeled = made()
    batches = Batches(labeled, 4, shuffle=True, seed=5)
    for epoch in range(4):
        batches.epoch = epoch
        images = [image for batch in seen(batches) for image in batch]
        assert sorted(images) == list(range(21))
        assert images != list(range(21))
        classes = np.concatenate([classes for _, classes in batches]).argmax(axis=1)
        assert classes.tolist() == [image * 2 % 3 for image in images]


@pytest.mark.parametrize("options", [{}, {"mixing": Mixing(mixup=0.8, cutmix=1.0), "balance": True}])
def test_a_batch_hangs_on_seed_epoch_and_index_alone(options):
    def contents(order, *, seed=3):
        batches = Batches(made(), 4, shuffle=True, augmentation=CHANGES, seed=seed, **options)
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


def test_the_order_and_the_changes_are_those_that_results_were_measured_with():
    labeled = made()
    batches = Batches(labeled, 21, shuffle=True, augmentation=CHANGES, seed=5)
    batches.epoch = 2
    images, targets = batches[0]
    order = [8, 5, 18, 13, 12, 15, 6, 10, 2, 4, 1, 19, 0, 3, 16, 7, 9, 20, 11, 17, 14]
    expected = CHANGES.apply(labeled.images[order], [np.random.default_rng((5, 2, image)) for image in order])
    np.testing.assert_array_equal(images, expected)
    assert targets.argmax(axis=1).tolist() == [image * 2 % 3 for image in order]


def test_an_order_is_drawn_once_an_epoch(monkeypatch):
    batches = Batches(made(), 4, shuffle=True, seed=5)
    drawn, generator = [], np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda key: drawn.append(key) or generator(key))
    for epoch in (0, 1, 1, 0):
        batches.epoch = epoch
        list(batches)
    assert drawn == [(5, 0), (5, 1), (5, 0)]


def test_another_batch_size_changes_a_image_alike():
    def by_class_and_image(batch_size, shuffle):
        batches = Batches(made(), batch_size, shuffle=shuffle, augmentation=CHANGES, seed=1)
        batches.epoch = 2
        return sorted(image.tobytes() for images, _ in batches for image in images)

    expected = by_class_and_image(4, shuffle=False)
    assert len(set(expected)) == 21
    for batch_size, shuffle in ((1, False), (7, True), (100, True)):
        assert by_class_and_image(batch_size, shuffle) == expected


def test_does_not_change_the_images_of_the_dataset():
    labeled = made()
    before = labeled.images.tobytes()
    for images, _ in Batches(labeled, 4, augmentation=CHANGES):
        images[:] = 0  # a batch is a copy
    for images, _ in Batches(labeled, 4, augmentation=Augmentation()):
        images[:] = 0
    for images, _ in Batches(labeled, 4):
        images[:] = 0
    assert labeled.images.tobytes() == before


def each_its_own_class(n=21):
    return dataset(range(n), tuple(map(str, range(n))), images=made(n).images)


def test_a_mixed_batch_is_a_mixture_of_the_changed_images_of_the_same_batch():
    options = {"shuffle": True, "augmentation": CHANGES, "seed": 1}
    plain = Batches(each_its_own_class(), 7, **options)
    mixing = Batches(each_its_own_class(), 7, mixing=Mixing(mixup=1.0), **options)
    blended = 0
    for (images, targets), (after, mixture) in zip(plain, mixing, strict=True):
        chosen = targets.argmax(axis=1)
        exact = np.tensordot(mixture[:, chosen], images.astype(float), axes=1)
        assert np.abs(after - exact).max() <= 0.501
        assert after.dtype == np.uint8
        assert mixture.dtype == np.float32
        assert (np.diag(mixture[:, chosen]) > 0).all()
        blended += (mixture > 0).sum() - len(mixture)
    assert blended > 10


def test_mixing_that_is_off_changes_nothing():
    options = {"shuffle": True, "augmentation": CHANGES, "seed": 1}
    without, off = Batches(made(), 4, **options), Batches(made(), 4, mixing=Mixing(), **options)
    for first, second in zip(without, off, strict=True):
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


def test_no_two_things_are_drawn_from_one_state():
    states = []

    class Changes:
        changes = True

        def apply(self, images, generators, resize):
            states.extend(str(generator.bit_generator.state) for generator in generators)
            return images

    class Mixture:
        def draw(self, n, size, generator):
            states.append(str(generator.bit_generator.state))

    for seed in range(3):
        batches = Batches(made(), 4, shuffle=True, augmentation=Changes(), mixing=Mixture(), seed=seed)
        for epoch in range(3):
            batches.epoch = epoch
            list(batches)
    assert len(states) == len(set(states)) == 3 * 3 * (21 + 6)


def lopsided():
    """Ten images of the first class, five of the second, one of the third, none of the fourth."""
    return dataset(np.repeat([0, 1, 2], [10, 5, 1]), "abcd", images=made(16).images)


def test_balanced_batches_weigh_rare_classes_more():
    batches = Batches(lopsided(), 6, balance=True)
    weights = np.concatenate([weights for _, _, weights in batches])
    assert (weights.dtype, weights.shape) == (np.float32, (16,))
    np.testing.assert_allclose(weights, [16 / 30] * 10 + [16 / 15] * 5 + [16 / 3], rtol=1e-6)
    assert weights.mean() == pytest.approx(1)  # the loss keeps its scale
    assert [len(batch) for batch in Batches(lopsided(), 6)] == [2, 2, 2]


def test_a_mixture_weighs_what_its_classes_do():
    seen = set()
    for images, targets, weights in Batches(lopsided(), 6, shuffle=True, mixing=Mixing(cutmix=1.0), balance=True):
        assert (weights.dtype, weights.shape) == (np.float32, (len(images),))
        for target, weight in zip(targets.tolist(), weights, strict=True):
            assert weight == pytest.approx(target[0] * 16 / 30 + target[1] * 16 / 15 + target[2] * 16 / 3, rel=1e-5)
            seen.add(round(float(weight), 3))
    assert len(seen) > 3


@pytest.mark.parametrize("index", [6, -1, 100])
def test_refuses_a_batch_that_is_not_there(index):
    with raises(IndexError, "0..5", index):
        Batches(made(), 4)[index]


@pytest.mark.parametrize(
    ("n", "options", "values"),
    [
        (21, {"batch_size": 0}, ("batch_size", 1, 0)),
        (21, {"batch_size": 4, "seed": -1}, ("seed", 0, -1)),
        (0, {"batch_size": 4}, ("some",)),
    ],
)
def test_refuses_what_makes_no_batches(n, options, values):
    labeled = made().select(range(n))
    with raises(ValueError, *values):
        Batches(labeled, **options)


class Recorder(keras.Model):
    """Notes the first pixel of every image that reaches a step."""

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


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="records eager TensorFlow tensors")
@pytest.mark.parametrize("first", [0, 2])
def test_fit_sees_the_batches_of_the_epoch_it_is_in(first):
    labeled = made()
    batches, validation = Batches(labeled, 4, shuffle=True, seed=3), Batches(labeled.select(range(7)), 4)
    expected = []
    for epoch in range(first, 4):
        batches.epoch = epoch
        expected += [("train", images) for images in seen(batches)]
        expected += [("test", [0, 1, 2, 3]), ("test", [4, 5, 6])]
    batches.epoch = 0
    inputs = keras.Input((8, 10, 3))
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(inputs))
    model = Recorder(inputs, outputs)
    model.compile("sgd", "categorical_crossentropy", run_eagerly=True)
    options = {"initial_epoch": first, "epochs": 4, "shuffle": False, "verbose": 0}
    model.fit(batches, validation_data=validation, callbacks=[SetEpoch(batches)], **options)
    assert model.steps == expected


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="batches reach PyTorch and JAX another way")
@pytest.mark.parametrize(
    ("balance", "expected"),
    # the gradient of the bias is the mean of weight times (probability - target), with probabilities of a quarter
    [
        (True, [0.25 - 1 / 3, 0.25 - 1 / 3, 0.25 - 1 / 3, 0.25]),
        (False, [0.25 - 10 / 16, 0.25 - 5 / 16, 0.25 - 1 / 16, 0.25]),
    ],
)
def test_weights_count_in_fit(balance, expected):
    inputs = keras.Input((8, 10, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(4, activation="softmax", kernel_initializer="zeros")(x))
    model.compile(keras.optimizers.SGD(1.0), "categorical_crossentropy")
    model.fit(Batches(lopsided(), 16, shuffle=True, balance=balance), epochs=1, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.get_weights()[1], -np.array(expected), atol=1e-5)


def versions_of(labeled, **options):
    """The images of each of seven epochs, in the dataset's order."""
    batches = Batches(labeled, 8, augmentation=CHANGES, seed=5, **options)
    epochs = []
    for epoch in range(7):
        batches.epoch = epoch
        epochs.append(np.concatenate([images for images, _ in batches]))
    return epochs


def changed(labeled, version):
    return CHANGES.apply(labeled.images[:], [np.random.default_rng((5, version, image)) for image in range(21)])


def test_epochs_take_turns_with_the_image_itself_and_its_changes():
    labeled = made()
    epochs = versions_of(labeled, views=3)
    for epoch, images in enumerate(epochs):
        version = epoch % 3
        expected = labeled.images if version == 0 else changed(labeled, version)
        np.testing.assert_array_equal(images, expected)
    assert len({images.tobytes() for images in epochs}) == 3


def test_one_view_is_the_image_itself():
    labeled = made()
    assert all((images == labeled.images).all() for images in versions_of(labeled, views=1))


def test_without_views_every_epoch_has_a_change_of_its_own():
    labeled = made()
    epochs = versions_of(labeled)
    for epoch, images in enumerate(epochs):
        np.testing.assert_array_equal(images, changed(labeled, epoch))
    assert len({images.tobytes() for images in epochs}) == 7


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"augmentation": CHANGES, "views": 2}, [None, 1, None, 1]),
        ({"augmentation": CHANGES}, [0, 1, 2, 3]),
        ({"augmentation": Augmentation(), "views": 2}, [None] * 4),
        ({"views": 2}, [None] * 4),
    ],
)
def test_the_version_tells_what_is_changed(options, expected):
    batches = Batches(made(), 8, **options)
    found = []
    for epoch in range(4):
        batches.epoch = epoch
        found.append(batches.version)
    assert found == expected


def test_features_stand_in_place_of_the_images_version_by_version():
    labeled = made()
    features = [np.arange(21, dtype=np.float32)[:, None] + 100 * version for version in range(3)]
    plain = Batches(labeled, 4, shuffle=True, seed=1)
    featured = Batches(labeled, 4, shuffle=True, augmentation=CHANGES, features=features, seed=1)
    for epoch in range(5):
        plain.epoch = featured.epoch = epoch
        for (images, targets), (rows, same_targets) in zip(plain, featured, strict=True):
            assert (rows[:, 0] - 100 * (epoch % 3)).tolist() == images[:, 0, 0, 0].tolist()
            np.testing.assert_array_equal(same_targets, targets)


def test_a_batch_of_features_is_a_copy_and_may_be_weighted():
    features = np.zeros((16, 2), np.float32)
    features.flags.writeable = False
    batches = Batches(lopsided(), 16, features=[features], balance=True)
    rows, targets, weights = batches[0]
    rows[:] = 1
    assert not features.any()
    np.testing.assert_allclose(weights, targets @ [16 / 30, 16 / 15, 16 / 3, 0], rtol=1e-6)


def test_features_are_not_mixed():
    with raises(ValueError, "mixing", "features"):
        Batches(made(), 4, features=[np.zeros((21, 2))], mixing=Mixing(mixup=0.5))


def test_the_weights_of_images_are_those_of_their_classes():
    assert Batches(lopsided(), 4).image_weights is None
    balanced = Batches(lopsided(), 4, balance=True)
    weights = np.concatenate([weights for _, _, weights in balanced])
    np.testing.assert_array_equal(balanced.image_weights, weights)
    np.testing.assert_allclose(balanced.image_weights.mean(), 1, rtol=1e-6)


def test_batches_have_the_size_that_is_asked_for():
    resize = Resize(12, 20, "bilinear")
    for augmentation in (None, Augmentation(), Augmentation(crop_area=0.3)):
        batches = Batches(made(5), 3, augmentation=augmentation, resize=resize)
        assert [images.shape for images, _ in batches] == [(3, 12, 20, 3), (2, 12, 20, 3)]
    whole = Batches(made(5), 5, augmentation=Augmentation(crop_area=0.3), resize=resize)
    np.testing.assert_array_equal(whole[0][0][:3], batches[0][0])  # whatever the batch size is


@pytest.mark.parametrize(
    ("n", "devices", "sizes"),
    [(40, 1, [20, 20]), (65, 1, [21] * 3), (64, 1, [32, 32]), (31, 1, [31]), (70, 4, [20] * 3), (33, 1, [16, 16])],
)
def test_batches_of_one_size_are_as_many_as_others(n, devices, sizes):
    images, share = noise(n, 2, 2, 3), Share(devices=devices)
    batches = Batches(dataset(np.zeros(n, int), "ab", images=images), 32, equal=True, share=share)
    assert [len(targets) for _, targets in batches] == sizes
    assert len(Batches(batches.dataset, 32, share=share)) == len(sizes)


@pytest.mark.parametrize(("n", "sizes"), [(40, [32, 32]), (20, [20]), (32, [32])])
def test_batches_of_one_size_may_be_filled_so_that_no_image_is_left_out(n, sizes):
    images = noise(n, 2, 2, 3)
    images[:, 0, 0, 0] = np.arange(n)
    batches = Batches(dataset(np.zeros(n, int), "ab", images=images), 32, equal=True, fill=True)
    assert [len(batch[0]) for batch in batches] == sizes
    if sizes[-1] * len(sizes) > n:
        counted = [int(image) for pixels, _, weights in batches for image in pixels[weights > 0, 0, 0, 0]]
        assert counted == list(range(n))
        assert sum(weights.sum() for _, _, weights in batches) == pytest.approx(sum(sizes))


def test_on_tensorflow_keras_has_the_threads(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    assert [Batches(made(), 4, ahead=ahead).workers for ahead in (0, 4)] == [2, 4]
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert Batches(made(), 4, ahead=4).workers == 1


def test_batches_that_threads_make_ahead_are_the_same_in_any_order(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    some = dataset(np.arange(22) % 3, "abc", images=noise(22, 8, 8, 3))
    options = {"shuffle": True, "augmentation": Augmentation(rotation=20), "mixing": Mixing(0.4, 1.0), "seed": 2}
    usual, ahead = Batches(some, 4, **options), Batches(some, 4, **options, ahead=3)
    assert len(ahead[0][0]) == 4  # as fit takes one before an epoch begins
    for epoch, order in ((1, range(6)), (2, (0, 1, 4, 5)), (1, (3, 0, 0, 5))):
        usual.epoch = ahead.epoch = epoch
        for index in order:
            for expected, found in zip(usual[index], ahead[index], strict=True):
                np.testing.assert_array_equal(found, expected)
