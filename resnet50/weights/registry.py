"""The registry of published weights: one row per file, with its publisher's description.

Accuracies, hashes and sizes are published by the authors, or agreed on by several independent copies of the file. None
stands for an unpublished value. To add weights, add a row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PureWindowsPath
from typing import Any

from resnet50._io.fetch import Download
from resnet50._io.text import did_you_mean

SUFFIXES = (".h5", ".hdf5", ".keras", ".safetensors", ".pth", ".pt", ".bin")
"""Suffixes of weights files; any other text is a name in `REGISTRY`."""

_LIMIT = 256 << 20  # bytes; the files have 45 to 242 MB


@dataclass(frozen=True)
class PublishedWeights:
    """Published weights of a ResNet, and how their publisher prepares its images.

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
        depth: Layers of the network, as in its name.
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
    depth: int = 50

    @property
    def fit_values(self) -> dict[str, Any]:
        """The publisher's values of a fit (`resnet50.data.fit.Fit`) by the names of its fields, as far as known."""
        return {
            name: value
            for name, value in (("crop_ratio", self.crop), ("resampling", self.interpolation))
            if value is not None
        }


def _keras(
    name: str, *, md5: str, top1: float | None = None, depth: int = 50, size: int | None = None
) -> PublishedWeights:
    """Return a row of keras.applications, which does not publish the crop of its test."""
    end = "kernels_notop.h5" if name.endswith("-notop") else "kernels.h5"
    file = f"resnet{depth}_weights_tf_dim_ordering_tf_{end}"
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
        classes=0 if name.endswith("-notop") else 1000,
        depth=depth,
    )


def _torchvision(
    version: str, *, sha256: str, top1: float, size: int | None = None, depth: int = 50
) -> PublishedWeights:
    """Return a row of torchvision, whose file names contain the first eight digits of the hash."""
    file = f"resnet{depth}-{sha256[:8]}.pth"
    return PublishedWeights(
        name=f"torchvision/{_prefix(depth)}imagenet1k_{version}",
        publisher="torchvision",
        download=Download(file, (f"https://download.pytorch.org/models/{file}",), _LIMIT, size=size, sha256=sha256),
        license="BSD-3-Clause",
        commercial=True,
        conventions="v1.5",
        normalization="torch",
        crop=224 / (256 if version == "v1" else 232),
        interpolation="bilinear",
        top1=top1,
        top1_image_size=224,
        depth=depth,
    )


def _prefix(depth: int) -> str:
    """Return the beginning of a name in a publisher's list: none for a ResNet-50."""
    return "" if depth == 50 else f"resnet{depth}."


def _hugging_face(repository: str, file: str, *, sha256: str | None, size: int | None = None) -> Download:
    """Return the download of a repository's model.safetensors, checked by the server's hash if none is published."""
    url = f"https://huggingface.co/{repository}/resolve/main/model.safetensors"
    return Download(file, (url,), _LIMIT, size=size, sha256=sha256, sha256_from_server=sha256 is None)


def _timm(
    tag: str,
    *,
    top1: float | None,
    depth: int = 50,
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
        name=f"timm/{_prefix(depth)}{tag}",
        publisher="timm",
        download=_hugging_face(
            f"timm/resnet{depth}.{tag}", f"resnet{depth}.{tag}.safetensors", sha256=sha256, size=size
        ),
        license=spdx,
        commercial=commercial,
        conventions="v1.5",
        normalization="torch",
        image_size=image_size,
        crop=crop,
        interpolation=interpolation,
        top1=top1,
        top1_image_size=None if top1 is None else image_size,
        depth=depth,
    )


_ROWS = (
    _keras("imagenet", size=102_967_424, md5="2cb95161c43110f7111970584f804107", top1=74.9),
    _keras("imagenet-notop", size=94_765_736, md5="4d473c1dd8becc155b73f8504c6f6626"),
    _torchvision(
        "v1",
        sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        size=102_530_333,
        top1=76.130,
    ),
    _torchvision(
        "v2",
        sha256="11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
        size=102_540_417,
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

# timm's accuracies and settings: image size, crop and interpolation; its own test of torchvision's ResNet-34 is missing
_RSB, _RSB_A3, _TIMM = (288, 1.0, "bicubic"), (224, 0.95, "bicubic"), (288, 0.95, "bicubic")
_TV, _TV2, _GLUON = (224, 0.875, "bilinear"), (224, 0.965, "bilinear"), (224, 0.875, "bicubic")
_TIMM_ROWS: dict[int, dict[str, tuple[float | None, tuple[int, float, str]]]] = {
    18: {
        "a1_in1k": (73.158, _RSB),
        "a2_in1k": (72.372, _RSB),
        "a3_in1k": (68.254, _RSB_A3),
        "gluon_in1k": (70.838, _GLUON),
        "tv_in1k": (69.760, _TV),
        "fb_ssl_yfcc100m_ft_in1k": (72.594, _TV),
        "fb_swsl_ig1b_ft_in1k": (73.282, _TV),
    },
    34: {
        "a1_in1k": (77.918, _RSB),
        "a2_in1k": (77.158, _RSB),
        "a3_in1k": (72.970, _RSB_A3),
        "bt_in1k": (76.480, _TIMM),
        "gluon_in1k": (74.578, _GLUON),
        "tv_in1k": (None, _TV),
    },
    101: {
        "a1h_in1k": (82.778, _RSB),
        "a1_in1k": (82.322, _RSB),
        "a2_in1k": (82.236, _RSB),
        "a3_in1k": (79.814, _RSB_A3),
        "gluon_in1k": (79.310, _GLUON),
        "tv_in1k": (77.376, _TV),
        "tv2_in1k": (81.890, _TV2),
    },
    152: {
        "a1h_in1k": (83.450, _RSB),
        "a1_in1k": (82.732, _RSB),
        "a2_in1k": (82.608, _RSB),
        "a3_in1k": (80.546, _RSB_A3),
        "gluon_in1k": (79.694, _GLUON),
        "tv_in1k": (78.322, _TV),
        "tv2_in1k": (82.288, _TV2),
    },
}
"""timm's weights of the other depths by tag."""


def _license(tag: str) -> tuple[str, bool]:
    """Return the license of timm's weights of the other depths, and whether it allows commercial use."""
    if tag.startswith("fb_"):
        return "CC-BY-NC-4.0", False
    return ("BSD-3-Clause" if tag.startswith("tv") else "Apache-2.0"), True


_OTHER_DEPTHS = (
    _keras("keras/resnet101.imagenet", depth=101, md5="f1aeb4b969a6efcfb50fad2f0c20cfc5", top1=76.4),
    _keras("keras/resnet101.imagenet-notop", depth=101, md5="88cf7a10940856eca736dc7b7e228a21"),
    _keras("keras/resnet152.imagenet", depth=152, md5="100835be76be38e30d865e96f2aaae62", top1=76.6),
    _keras("keras/resnet152.imagenet-notop", depth=152, md5="ee4c566cf9a93f14d82f913c2dc6dd0c"),
    _torchvision(
        "v1",
        depth=18,
        sha256="f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        size=46_830_571,
        top1=69.758,
    ),
    # the file names give the first digits of these hashes, and torchvision gives no more
    _torchvision("v1", depth=34, sha256="b627a593", top1=73.314),
    _torchvision("v1", depth=101, sha256="63fe2227", top1=77.374),
    _torchvision("v2", depth=101, sha256="cd907fc2", top1=81.886),
    _torchvision("v1", depth=152, sha256="394f9c45", top1=78.312),
    _torchvision("v2", depth=152, sha256="f82ba261", top1=82.284),
    *(
        _timm(
            tag,
            depth=depth,
            top1=top1,
            image_size=image_size,
            crop=crop,
            interpolation=interpolation,
            spdx=_license(tag)[0],
            commercial=_license(tag)[1],
        )
        for depth, rows in _TIMM_ROWS.items()
        for tag, (top1, (image_size, crop, interpolation)) in rows.items()
    ),
)

REGISTRY: Mapping[str, PublishedWeights] = {published.name: published for published in (*_ROWS, *_OTHER_DEPTHS)}
"""All published weights, by name."""


def find_published(name: str) -> PublishedWeights:
    """Return published weights by name.

    Args:
        name: Name in `REGISTRY`.

    Returns:
        The row of that name.

    Raises:
        ValueError: If no row has that name; the message has the nearest name, if any is near.
    """
    if name not in REGISTRY:
        near = did_you_mean(name.replace("resnet50.", ""), REGISTRY)
        raise ValueError(
            f"expected the name of published weights ('resnet50 weights list' shows them), got {name!r}{near}"
        )
    return REGISTRY[name]


def names_weights(text: str) -> bool:
    """Return whether a text is a name in `REGISTRY` or, by its suffix, a file of weights that is no classifier's."""
    suffix = PureWindowsPath(text).suffix
    return text in REGISTRY or (suffix in SUFFIXES and suffix != ".keras")


def without_folder(weights: str) -> str:
    """Return the name of weights for what others read: that of published ones, or of a file without its folder.

    Args:
        weights: Name in `REGISTRY`, or path of a file.
    """
    return weights if weights in REGISTRY else PureWindowsPath(weights).name  # it knows both separators


def at_depth(name: str, depth: int) -> str:
    """Return the name of published weights of another depth, trained in the same way by the same publisher.

    Args:
        name: Name of published weights.
        depth: Layers of the network.

    Returns:
        A name in `REGISTRY`; the name itself where there are none.
    """
    if name not in REGISTRY:
        return name
    for row in REGISTRY.values():
        if (row.publisher, row.depth, _tag(row)) == (REGISTRY[name].publisher, depth, _tag(REGISTRY[name])):
            return row.name
    return name


def _tag(published: PublishedWeights) -> str:
    """Return the end of a name, which says how the weights were trained."""
    return re.split(r"/|\.", published.name)[-1]


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Return the names of ImageNet's 1000 classes, in the order of every classifier in `REGISTRY`.

    Two names occur twice, as in Keras' list: ``crane`` (134 is the bird, 517 the machine) and ``maillot`` (638, 639).

    Source: Keras' imagenet_class_index.json, MD5 c2c37ea517e94d9795004a39431a14cb.
    """
    text = files("resnet50.weights").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
