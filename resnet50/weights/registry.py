"""The registry of published weights: one row per file, with its publisher's description.

Accuracies, hashes and sizes are published by the authors, or agreed on by several independent copies of the file. None
stands for an unpublished value. To add weights, add a row.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from resnet50._io.fetch import Download

SUFFIXES = (".h5", ".hdf5", ".keras", ".safetensors", ".pth", ".pt", ".bin")
"""Suffixes of weights files; any other text is a name in `REGISTRY`."""

_LIMIT = 128 << 20  # bytes; each of the files has about 100 MB


@dataclass(frozen=True)
class PublishedWeights:
    """Published weights of a ResNet-50, and how their publisher prepares its images.

    Attributes:
        name: Name in the registry, such as ``"timm/a1_in1k"``.
        publisher: The publisher; also the name of the cache folder.
        download: The file and its hashes.
        license: SPDX identifier of the license.
        commercial: Whether the license allows commercial use. Weights without it are never a default.
        conventions: Name of the network's conventions, ``"v1"`` or ``"v1.5"``.
        normalization: Row of `resnet50.weights.NORMALIZATIONS` for the pixels.
        image_size: Height and width of the publisher's test images, in pixels.
        crop: Share of the shorter side that the center crop of a test keeps, above 0 to 1; None if not published.
        interpolation: Resampling in the publisher's test, ``"bilinear"`` or ``"bicubic"``; None if not published.
        top1: Published top-1 accuracy on the ImageNet validation images, in percent; None if not published.
        top1_image_size: Height and width of the images, in pixels, that ``top1`` was measured with.
        classes: Number of classes of the classifier, in the order of `imagenet_classes`; 0 if there is none.
    """

    name: str
    publisher: str
    download: Download
    license: str
    commercial: bool
    conventions: str
    normalization: str
    image_size: int = 224
    crop: float | None = None
    interpolation: str | None = None
    top1: float | None = None
    top1_image_size: int | None = None
    classes: int = 1000


def _keras(name: str, file: str, *, size: int, md5: str, top1: float | None, classes: int) -> PublishedWeights:
    """Return a row of keras.applications, which does not publish the crop of its test."""
    url = f"https://storage.googleapis.com/tensorflow/keras-applications/resnet/{file}"
    return PublishedWeights(
        name=name,
        publisher="keras",
        download=Download(file, (url,), _LIMIT, size=size, md5=md5),
        license="MIT",
        commercial=True,
        conventions="v1",
        normalization="caffe",
        top1=top1,
        top1_image_size=None if top1 is None else 224,
        classes=classes,
    )


def _torchvision(version: str, *, sha256: str, size: int, crop: float, top1: float) -> PublishedWeights:
    """Return a row of torchvision, whose file names contain the first eight digits of the hash."""
    file = f"resnet50-{sha256[:8]}.pth"
    return PublishedWeights(
        name=f"torchvision/imagenet1k_{version}",
        publisher="torchvision",
        download=Download(file, (f"https://download.pytorch.org/models/{file}",), _LIMIT, size=size, sha256=sha256),
        license="BSD-3-Clause",
        commercial=True,
        conventions="v1.5",
        normalization="torch",
        crop=crop,
        interpolation="bilinear",
        top1=top1,
        top1_image_size=224,
    )


def _hugging_face(repository: str, file: str, *, sha256: str | None, size: int | None = None) -> Download:
    """Return the download of a repository's model.safetensors, checked by the server's hash if none is published."""
    url = f"https://huggingface.co/{repository}/resolve/main/model.safetensors"
    return Download(file, (url,), _LIMIT, size=size, sha256=sha256, sha256_from_server=sha256 is None)


def _timm(
    tag: str,
    *,
    top1: float,
    image_size: int = 288,
    crop: float = 1.0,
    interpolation: str = "bicubic",
    sha256: str | None = None,
    size: int | None = None,
    spdx: str = "Apache-2.0",
    commercial: bool = True,
) -> PublishedWeights:
    """Return a row of timm; accuracy and test settings are from its results-imagenet.csv."""
    return PublishedWeights(
        name=f"timm/{tag}",
        publisher="timm",
        download=_hugging_face(f"timm/resnet50.{tag}", f"resnet50.{tag}.safetensors", sha256=sha256, size=size),
        license=spdx,
        commercial=commercial,
        conventions="v1.5",
        normalization="torch",
        image_size=image_size,
        crop=crop,
        interpolation=interpolation,
        top1=top1,
        top1_image_size=image_size,
    )


_ROWS = (
    _keras(
        "imagenet",
        "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
        size=102_967_424,
        md5="2cb95161c43110f7111970584f804107",
        top1=74.9,
        classes=1000,
    ),
    _keras(
        "imagenet-notop",
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        size=94_765_736,
        md5="4d473c1dd8becc155b73f8504c6f6626",
        top1=None,
        classes=0,
    ),
    _torchvision(
        "v1",
        sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        size=102_530_333,
        crop=224 / 256,
        top1=76.130,
    ),
    _torchvision(
        "v2",
        sha256="11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
        size=102_540_417,
        crop=224 / 232,
        top1=80.858,
    ),
    _timm(
        "a1_in1k",
        top1=81.214,
        sha256="773525d5821de224f8f30c33377b7a795d7863e08522698200d3217d3f2a41bb",
        size=102_469_840,
    ),
    _timm("a2_in1k", top1=80.772, sha256="f531f9aca4dde1b89e9a465c5b9e3b916a2d1b20a216acf3b9473d1e1212ecf6"),
    _timm("a3_in1k", top1=78.048, image_size=224, crop=0.95),
    _timm("b1k_in1k", top1=80.706, sha256="cd64707e0ef72aa0526ac6d46fba6495ad2088717adb47a62a0b526eb3cd3480"),
    _timm("c1_in1k", top1=80.912),
    _timm("c2_in1k", top1=80.870),
    _timm("d_in1k", top1=80.972, sha256="d8ed291891c8ee5777f68136665a4eee2f9ddeb2a9bc88acf4b1676b3bbebf55"),
    _timm("ram_in1k", top1=79.976, crop=0.95),
    _timm(
        "tv_in1k",
        top1=76.130,
        image_size=224,
        crop=0.875,
        interpolation="bilinear",
        sha256="5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888",
        size=102_469_840,
        spdx="BSD-3-Clause",
    ),
    _timm("tv2_in1k", top1=80.850, image_size=224, crop=0.965, interpolation="bilinear", spdx="BSD-3-Clause"),
    # pretrained on images of Instagram
    _timm(
        "fb_swsl_ig1b_ft_in1k",
        top1=81.182,
        image_size=224,
        crop=0.875,
        interpolation="bilinear",
        spdx="CC-BY-NC-4.0",
        commercial=False,
    ),
    # the model card has no accuracy; crop and interpolation are from its preprocessor_config.json
    PublishedWeights(
        name="microsoft/resnet-50",
        publisher="microsoft",
        download=_hugging_face(
            "microsoft/resnet-50",
            "resnet-50.safetensors",
            sha256="9c6061af1f450bb0847e529fd742aa5066017be379c71bbf5546b198e5b13a1e",
        ),
        license="Apache-2.0",
        commercial=True,
        conventions="v1.5",
        normalization="torch",
        crop=0.875,
        interpolation="bicubic",
    ),
)

REGISTRY: Mapping[str, PublishedWeights] = {published.name: published for published in _ROWS}
"""All published weights, by name."""


def find_published(name: str) -> PublishedWeights:
    """Return published weights by name.

    Args:
        name: Name in `REGISTRY`.

    Returns:
        The row of that name.

    Raises:
        ValueError: If no row has that name; the message lists similar names, or all.
    """
    if name not in REGISTRY:
        similar = difflib.get_close_matches(name, REGISTRY, n=4) or list(REGISTRY)
        raise ValueError(f"expected a name of published weights, such as {', '.join(similar)}, got {name!r}.")
    return REGISTRY[name]


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Return the names of ImageNet's 1000 classes, in the order of every classifier in `REGISTRY`.

    Two names occur twice, as in Keras' list: ``crane`` (134 is the bird, 517 the machine) and ``maillot`` (638, 639).

    Source: Keras' imagenet_class_index.json, MD5 c2c37ea517e94d9795004a39431a14cb.
    """
    text = files("resnet50.weights").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
