"""The registry of published weights: a row for each file, with what its publisher says of it.

Figures, hashes and sizes are the publishers' own, or were told alike by several who have the file; what could not be
found is None. Adding weights is adding a row.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from resnet50._io.fetch import Download

_LIMIT = 128 << 20  # bytes; each of the files has about 100 MB


@dataclass(frozen=True)
class PublishedWeights:
    """Published weights of a ResNet-50, and how their publisher feeds it.

    Attributes:
        name: Name under which they are asked for, such as ``"timm/a1_in1k"``.
        publisher: Who gives them out; also the folder that they are cached in.
        download: The file and how it is checked.
        license: Its SPDX name.
        commercial: Whether the license allows commercial use. Weights that do not are never a default.
        conventions: Name of the network's conventions, ``"v1"`` or ``"v1.5"``.
        normalization: Row of `resnet50.weights.normalization.NORMALIZATIONS` that the pixels go through.
        image_size: Height and width of the images, in pixels, that the publisher tests with.
        crop: Share of an image's shorter side that the test's square keeps, above 0 to 1; None if not published.
        interpolation: How the test resizes, ``"bilinear"`` or ``"bicubic"``; None if not published.
        top1: The publisher's accuracy on ImageNet's validation images, in percent; None if not published.
        top1_side: Height and width of the images, in pixels, that ``top1`` was measured with.
        classes: Classes of the classifier, in the order of `imagenet_classes`; 0 if the file holds none.
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
    top1_side: int | None = None
    classes: int = 1000


def _keras(name: str, file: str, *, size: int, md5: str, top1: float | None, classes: int) -> PublishedWeights:
    """Make a row of keras.applications; Keras' pages do not say how large a square of the image was tested."""
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
        top1_side=None if top1 is None else 224,
        classes=classes,
    )


def _torchvision(version: str, *, sha256: str, size: int, crop: float, top1: float) -> PublishedWeights:
    """Make a row of torchvision, whose file names carry the first eight digits of the hash."""
    file = f"resnet50-{sha256[:8]}.pth"
    return PublishedWeights(
        name=f"torchvision/imagenet1k_{version}",
        publisher="torchvision",
        download=Download(
            file, (f"https://download.pytorch.org/models/{file}",), _LIMIT, size=size, sha256_start=sha256
        ),
        license="BSD-3-Clause",
        commercial=True,
        conventions="v1.5",
        normalization="torch",
        crop=crop,
        interpolation="bilinear",
        top1=top1,
        top1_side=224,
    )


def _hugging_face(repository: str, file: str, *, sha256: str | None, size: int | None = None) -> Download:
    """Make a download of a repository's model.safetensors; without a known hash, the server's own is believed."""
    url = f"https://huggingface.co/{repository}/resolve/main/model.safetensors"
    return Download(file, (url,), _LIMIT, size=size, sha256_start=sha256, sha256_from_server=sha256 is None)


def _timm(
    tag: str,
    *,
    top1: float,
    image_size: int = 288,
    crop: float = 1.0,
    interpolation: str = "bicubic",
    sha256: str | None = None,
    size: int | None = None,
    license: str = "Apache-2.0",
    commercial: bool = True,
) -> PublishedWeights:
    """Make a row of timm; its results-imagenet.csv tells accuracy and how it was tested."""
    return PublishedWeights(
        name=f"timm/{tag}",
        publisher="timm",
        download=_hugging_face(f"timm/resnet50.{tag}", f"resnet50.{tag}.safetensors", sha256=sha256, size=size),
        license=license,
        commercial=commercial,
        conventions="v1.5",
        normalization="torch",
        image_size=image_size,
        crop=crop,
        interpolation=interpolation,
        top1=top1,
        top1_side=image_size,
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
        license="BSD-3-Clause",
    ),
    _timm("tv2_in1k", top1=80.850, image_size=224, crop=0.965, interpolation="bilinear", license="BSD-3-Clause"),
    # Pretrained on images of Instagram.
    _timm(
        "fb_swsl_ig1b_ft_in1k",
        top1=81.182,
        image_size=224,
        crop=0.875,
        interpolation="bilinear",
        license="CC-BY-NC-4.0",
        commercial=False,
    ),
    # The model card names no accuracy; crop and interpolation are those of its preprocessor_config.json.
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

REGISTRY: Mapping[str, PublishedWeights] = {source.name: source for source in _ROWS}
"""Every published file of weights that is known by name."""


def find_published(name: str) -> PublishedWeights:
    """Return the row of that name.

    Raises:
        ValueError: If there is none; the text lists those of a similar name, or all.
    """
    if name not in REGISTRY:
        near = difflib.get_close_matches(name, REGISTRY, n=4) or list(REGISTRY)
        raise ValueError(f"expected a name of published weights, such as {', '.join(near)}, got {name!r}.")
    return REGISTRY[name]


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Return the names of ImageNet's 1000 classes, in the order of every classifier in `REGISTRY`.

    Two names stand for two classes each, as in Keras' list: ``crane`` (134 is the bird, 517 the machine) and
    ``maillot`` (638 and 639).

    Source: Keras' imagenet_class_index.json, MD5 c2c37ea517e94d9795004a39431a14cb.
    """
    text = files("resnet50.weights").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
