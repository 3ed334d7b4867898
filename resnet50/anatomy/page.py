"""The page of a network that was taken apart: a strip of its blocks with their measurements, and a panel for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from resnet50._io.text import plural
from resnet50.anatomy.blocks import Lesion
from resnet50.anatomy.probes import ProbeScore
from resnet50.anatomy.records import VISIBLE, Anatomy, PartAnatomy, View
from resnet50.plots import theme
from resnet50.plots.heat import color_bar, overlay
from resnet50.reports.pages import PageImage, page_image, render

_FILTERS_IN_A_ROW = 8
_POWER = 0.4  # of ratios of sizes in the strip, so that the smallest is still visible
_ENLARGED = 96  # pixels of the shorter side, below which the image of a panel is enlarged


@dataclass(frozen=True)
class Bar:
    """A measurement of a block as a bar.

    Attributes:
        height: Share of the strip's height, 0..1.
        low: Lower end of the interval, 0..1; None without one.
        high: Upper end.
        label: The number in words.
    """

    height: float
    low: float | None
    high: float | None
    label: str


@dataclass(frozen=True)
class Slab:
    """The output of a part as it is drawn above its bars, a slab from the side, in pixels.

    Attributes:
        height: For the height and width of the feature map.
        width: For the channels.
        color: That of its stage.
        shortcut: As in `PartAnatomy`.
    """

    height: float
    width: float
    color: str
    shortcut: str | None


def anatomy_page(anatomy: Anatomy) -> str:
    """Return the page of a network that was taken apart, as HTML text: no scripts, no requests."""
    return render(
        "anatomy.html.j2",
        anatomy=anatomy,
        slabs=_slabs(anatomy),
        rows=_strip(anatomy),
        panels=[_panel(anatomy, part) for part in anatomy.parts],
        filters=page_image(_filter_sheet(anatomy.filters)),
        color_bar=page_image(color_bar()),
        parameters=sum(part.parameters for part in anatomy.parts),
        macs=sum(part.macs for part in anatomy.parts),
    )


def _slabs(anatomy: Anatomy) -> list[Slab]:
    """Return the slabs of the strip, in the proportions and colors of `resnet50.plots.diagrams.draw_network`."""
    stages = list(dict.fromkeys(part.name.rsplit("_block", 1)[0] for part in anatomy.parts[1:-1]))
    most = max(part.shape[-1] or 1 for part in anatomy.parts[:-1])
    slabs = []
    for part in anatomy.parts:
        stage = part.name.rsplit("_block", 1)[0]
        color = theme.STAGES[stages.index(stage) % len(theme.STAGES)] if stage in stages else theme.FEATURES
        first, here = anatomy.parts[0].feature_map, part.feature_map
        share = first.field.jump[0] / here.field.jump[0] if first and here else 1.0
        width = 4 + 10 * ((part.shape[-1] or 1) / most) ** _POWER if part.name != "head" else 4
        slabs.append(Slab(32 * share**_POWER, width, color, part.shortcut))
    return slabs


def _strip(anatomy: Anatomy) -> dict[str, list[Bar | None]]:
    """Return the rows of bars below the strip, without those that were not measured."""
    parts = anatomy.parts
    most = max((part.contribution.share for part in parts if part.contribution), default=1.0) or 1.0
    rows = {
        "adds": [_contribution_bar(part, most) for part in parts],
        "without it": [_accuracy_bar(part.lesion) for part in parts],
        "probe": [_accuracy_bar(part.probe) for part in parts],
    }
    return {name: bars for name, bars in rows.items() if any(bars)}


def _contribution_bar(part: PartAnatomy, most: float) -> Bar | None:
    measured = part.contribution
    return None if measured is None else Bar(measured.share / most, None, None, f"{measured.share:.2f}")


def _accuracy_bar(score: Lesion | ProbeScore | None) -> Bar | None:
    if score is None:
        return None
    low, high = score.interval
    return Bar(score.accuracy, low, high, f"{score.accuracy:.0%}")


def _panel(anatomy: Anatomy, part: PartAnatomy) -> dict[str, Any]:
    return {
        "part": part,
        "shape": " x ".join("any" if size is None else str(size) for size in part.shape),
        "lines": part.source.splitlines(),
        "field": _field(part),
        "seen": _effective(part),
        "views": [_view(image.pixels, view) for image, view in zip(anatomy.images, part.views, strict=False)],
        "patches": _patches(anatomy, part),
    }


def _field(part: PartAnatomy) -> str:
    """Return the size of the theoretical receptive field in words; empty where there is none."""
    if part.feature_map is None:
        return ""
    field = part.feature_map.field
    return f"{field.size[0]} x {field.size[1]} pixels, and the next cell is {plural(field.jump[0], 'pixel')} further"


def _effective(part: PartAnatomy) -> PageImage | None:
    """Return the effective receptive field over a gray image."""
    if part.effective_field is None:
        return None
    gray = np.full((*part.effective_field.shape, 3), 128, np.uint8)
    shown = np.where(part.effective_field > VISIBLE, part.effective_field, 0) ** 0.5
    return _enlarged(overlay(gray, shown))


def _view(pixels: np.ndarray, view: View) -> dict[str, Any]:
    image = _enlarged(pixels)
    height, width = pixels.shape[:2]
    frame = None
    if view.box is not None:
        top, left, bottom, right = view.box
        frame = {"x": left, "y": top, "width": right - left, "height": bottom - top, "box": f"0 0 {width} {height}"}
    return {
        "image": image,
        "frame": frame,
        "heat": None if view.heat is None else _enlarged(overlay(pixels, view.heat)),
        "channels": [
            (each.channel, [(name, page_image(_gray(values))) for name, values in each.maps.items()])
            for each in view.channels
        ],
    }


def _patches(anatomy: Anatomy, part: PartAnatomy) -> list[tuple[int, list[PageImage]]]:
    if anatomy.training is None or not part.patches:
        return []
    images, rows = anatomy.training.images, []
    for channel, patches in part.patches.items():
        boxes = [(np.asarray(images[patch.image]), patch.box) for patch in patches]
        rows.append((channel, [page_image(image[top:down, left:right]) for image, (top, left, down, right) in boxes]))
    return [(channel, cut) for channel, cut in rows if cut]


def _filter_sheet(filters: np.ndarray) -> np.ndarray:
    """Return the filters side by side in rows, each scaled to its own range around gray; uint8 RGB."""
    scaled = filters / np.maximum(np.abs(filters).max(axis=(1, 2, 3), keepdims=True), 1e-12)
    tiles = np.rint(127.5 + 127.5 * scaled).astype(np.uint8)
    tiles = np.pad(tiles, [(0, -len(tiles) % _FILTERS_IN_A_ROW), (0, 1), (0, 1), (0, 0)], constant_values=255)
    rows = tiles.reshape(-1, _FILTERS_IN_A_ROW, *tiles.shape[1:])
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows])


def _gray(values: np.ndarray) -> np.ndarray:
    """Return a map as gray pixels, from its lowest value in black to its highest in white."""
    low, high = float(values.min()), float(values.max())
    scaled = np.rint(255 * (values - low) / ((high - low) or 1)).astype(np.uint8)
    return np.repeat(scaled[..., None], 3, axis=2)


def _enlarged(pixels: np.ndarray) -> PageImage:
    """Return an image for a panel; a small one is enlarged by a whole number, so that its pixels stay sharp."""
    times = max(1, -(-_ENLARGED // min(pixels.shape[:2])))
    return page_image(pixels.repeat(times, axis=0).repeat(times, axis=1))
