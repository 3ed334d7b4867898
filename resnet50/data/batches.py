"""Batches for training and evaluation: one data path for every backend."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from resnet50.data.ahead import MadeAhead
from resnet50.data.augmentation import Augmentation, resize_all
from resnet50.data.dataset import Dataset
from resnet50.data.lazy_images import LazyImages
from resnet50.data.mixing import Mixing, Mixture
from resnet50.data.random_crop import Resize
from resnet50.data.share import ALONE, Share


class Batches(keras.utils.PyDataset):
    """A dataset in batches of one size; the last of an epoch may be smaller, or all may be shared out.

    The content of a batch depends only on the seed, the epoch and its index: not on the order in which batches are
    requested, on threads or on any global generator. Pass ``shuffle=False`` to ``fit``, which would otherwise shuffle
    batches by Python's global generator, and set `epoch` from a callback's ``on_epoch_begin``, since Keras calls a
    PyDataset's own ``on_epoch_end`` before the first epoch too, and again for validation.

    Args:
        dataset: The images.
        batch_size: Images in a batch, at most.
        share_last: Whether a last batch of fewer than a quarter of the batch size, or fewer than three images, is
            shared out: the sizes of all batches then differ by one at most, and their number stays. Batch norm's
            statistics of very few images are far off.
        shuffle: Whether each epoch has an order of its own; if not, batches have the dataset's order.
        augmentation: Random changes to each image; None for none.
        resize: Size of the images in the batches, and how they are resized; None for that of the dataset.
        views: Versions of each image that the epochs take turns with: the image itself, then ``views - 1`` changes of
            it; epoch ``e`` has version ``e % views``. 0 draws a new change for every epoch.
        features: For each version of the images an array ``(n, ...)`` that batches have in place of them.
        mixing: Random mixture of images of a batch, after augmentation; None for none.
        balance: Whether a batch also holds weights that give all classes the same influence: an image of a class with
            ``count`` of the ``n`` images weighs ``n / (classes * count)``, which is 1 on average over the images.
            Classes without images are not counted.
        seed: Determines order, augmentation and mixtures.
        share: The rows that this process makes. Several devices divide every batch: they leave out the last images of
            an epoch, fewer than there are devices.
        fill: Whether no image is left out instead: copies of the first one fill the last batch up. All batches then
            hold weights, which are 0 for the copies and such that a mean over the batches is that over the images.
        equal: Whether all batches have the same size, so that a step is compiled once. They are as many as otherwise,
            and an epoch leaves out the last of its images, fewer than it has batches on one device; with ``fill`` none.
        ahead: Number of batches that threads make before they are requested.

    Attributes:
        epoch: Epoch whose batches are returned, counted from 0.

    Raises:
        ValueError: If the dataset is empty, the batch size is not positive, the seed is negative, features are to be
            mixed, or the devices do not divide the batch size or have not an image each.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        *,
        share_last: bool = False,
        shuffle: bool = False,
        augmentation: Augmentation | None = None,
        resize: Resize | None = None,
        views: int = 0,
        features: Sequence[np.ndarray] = (),
        mixing: Mixing | None = None,
        balance: bool = False,
        seed: int = 0,
        share: Share = ALONE,
        fill: bool = False,
        equal: bool = False,
        ahead: int = 0,
    ) -> None:
        # TensorFlow gets two of Keras' threads: it then does without tf.data's autotuner, which can idle for ten
        # seconds at the end of an epoch (TensorFlow 2.21). JAX and PyTorch get threads of our own: there fit takes a
        # batch before the first epoch begins (Keras 3.15), and would use what Keras' threads had made by then.
        by_keras = keras.backend.backend() == "tensorflow"
        super().__init__(workers=max(2, ahead) if by_keras else 1)
        if batch_size < 1:
            raise ValueError(f"expected batch_size to be at least 1, got {batch_size!r}.")
        if seed < 0:
            raise ValueError(f"expected seed to be 0 or more, got {seed!r}.")
        if features and mixing is not None:
            raise ValueError("expected no mixing where there are features, since it mixes images, got both.")
        if not len(dataset):
            raise ValueError(f"{dataset.name}: expected images to make batches of, got none.")
        copies = -len(dataset) % (batch_size if equal and len(dataset) > batch_size else share.devices) if fill else 0
        share.check(batch_size, len(dataset) + copies)
        self.dataset, self.batch_size, self.seed, self.views = dataset, batch_size, seed, views
        self.features, self.resize = features, resize
        self.shuffle, self.augmentation, self.mixing, self.balance = shuffle, augmentation, mixing, balance
        self.share = share
        self.epoch = 0
        self._copies = copies
        bounds = _equal_bounds if equal else _bounds
        self._bounds = bounds(len(dataset) + copies, batch_size, share_last=share_last, devices=share.devices)
        self._one_hot = np.eye(len(dataset.class_names), dtype=np.float32)
        self._class_weights = _balancing_weights(dataset)
        self._order: tuple[tuple[int, int], np.ndarray] | None = None
        self._ahead = MadeAhead(self._make, len(self), ahead) if ahead and not by_keras else None

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._bounds) - 1

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        """Return batch ``index`` of the epoch.

        Returns:
            Images, RGB uint8 ``(n, height, width, 3)``, 0..255, or features, and targets, float32 ``(n, classes)``,
            one-hot unless mixed; if balanced also weights, float32 ``(n,)``, for a mixed image those of its classes in
            proportion. Where there are several processes, the rows of this one.

        Raises:
            IndexError: If an epoch has no such batch.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"expected a batch index in 0..{len(self) - 1}, got {index}.")
        return (self._ahead.get if self._ahead else self._make)(self.epoch, index)

    def _make(self, epoch: int, index: int) -> tuple[np.ndarray, ...]:
        positions = np.arange(self._bounds[index], self._bounds[index + 1])
        batch = np.where(positions < len(self.dataset), positions, 0)
        if self.shuffle:
            batch = self._shuffled(epoch)[batch]
        rows = np.arange(len(batch))[self.share.rows(len(batch))]
        # the last number makes this generator differ from that of the image with the batch's index
        mixture = self._draw_mixture(len(batch), (self.seed, epoch, index, 1))
        made = rows if mixture is None else np.union1d(rows, mixture.order[rows])
        chosen = batch[made]
        images = self.features[epoch % len(self.features)][chosen] if self.features else self._images(chosen, epoch)
        targets = self._one_hot[self.dataset.labels[chosen]]
        if mixture is not None:
            mixture = mixture.select(rows)
            own, others = np.searchsorted(made, rows), np.searchsorted(made, mixture.order)
            images = mixture.mix(images[own], images[others])
            targets = mixture.mix_targets(targets[own], targets[others])
        if not self.balance and not self._copies:
            return images, targets
        weights = targets @ self._class_weights if self.balance else np.ones(len(targets), np.float32)
        if self._copies:
            # Keras divides the sum of a batch by its rows, copies among them
            rest = len(self.dataset) / (len(self.dataset) + self._copies)
            weights = np.where(positions[rows] < len(self.dataset), weights / np.float32(rest), np.float32(0))
        return images, targets, weights

    def _draw_mixture(self, n: int, seed: tuple[int, ...]) -> Mixture | None:
        if self.mixing is None:
            return None
        height, width = self.dataset.images.shape[1:3]
        size = (height, width) if self.resize is None else (self.resize.height, self.resize.width)
        return self.mixing.draw(n, size, np.random.default_rng(seed))

    def _shuffled(self, epoch: int) -> np.ndarray:
        """Return the order of the images in an epoch, int64 ``(n,)``; it is drawn for the first of its batches."""
        key, stored = (self.seed, epoch), self._order
        if stored is None or stored[0] != key:
            stored = key, np.random.default_rng(key).permutation(len(self.dataset))
            self._order = stored  # key and order at once: another thread may be at a batch of another epoch
        return stored[1]

    @property
    def image_weights(self) -> np.ndarray | None:
        """The weight of each image, float32 ``(n,)``; None where all are the same."""
        return self._class_weights[self.dataset.labels] if self.balance else None

    @property
    def version(self) -> int | None:
        """The version of the images in this epoch, counted from 0; None where it is the images themselves."""
        return self._version(self.epoch)

    def _version(self, epoch: int) -> int | None:
        version = epoch % self.views if self.views else epoch
        unchanged = self.augmentation is None or not self.augmentation.changes
        return None if unchanged or (self.views and not version) else version

    def versions(self, chosen: np.ndarray) -> np.ndarray:
        """Return images in the version of this epoch, by their indices ``(n,)`` in the dataset."""
        return self._images(chosen, self.epoch)

    def _images(self, chosen: np.ndarray, epoch: int) -> np.ndarray:
        images, version = self.dataset.images, self._version(epoch)
        selected = images.select(chosen) if isinstance(images, LazyImages) and images.is_encoded else images[chosen]
        if self.augmentation is None or version is None:
            return resize_all(selected, self.resize)
        # an image's change depends on its index in the dataset, so that it is the same for any batch size
        return self.augmentation.apply(
            selected,
            [np.random.default_rng((self.seed, version, int(image))) for image in chosen],
            resize=self.resize,
        )


def _equal_bounds(images: int, batch_size: int, *, share_last: bool, devices: int) -> list[int]:
    """Return where each batch of an epoch begins, and where the last one ends, for batches of one size."""
    count = len(_bounds(images, batch_size, share_last=share_last, devices=devices)) - 1
    size = images // devices // count * devices
    return [*range(0, count * size + 1, size)]


def _bounds(images: int, batch_size: int, *, share_last: bool, devices: int) -> list[int]:
    """Return where each batch of an epoch begins, and where the last one ends: multiples of the number of devices."""
    units = images // devices
    total = units * devices
    count = -(-total // batch_size)
    if share_last and total - (count - 1) * batch_size < max(batch_size / 4, 3):
        return [index * units // count * devices for index in range(count + 1)]
    return [*range(0, total, batch_size), total]


def _balancing_weights(dataset: Dataset) -> np.ndarray:
    """Return the weight of each class, float32 ``(classes,)``; 0 for one without images."""
    counts = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    classes = np.count_nonzero(counts)
    return np.divide(len(dataset), classes * counts, out=np.zeros(len(counts), np.float32), where=counts > 0)
