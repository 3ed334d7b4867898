"""Draw a hand with some fingers raised, as if photographed.

A hand is a skeleton of tapered round bones, posed joint by joint, rotated in space and drawn into a depth buffer;
light, wall and camera follow. Lengths are in palms (wrist to middle knuckle), angles in degrees. In the hand's own
frame x points to the side of its thumb, y to the fingertips and z out of the palm; in an image x points right, y down
and z to the viewer, in pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFilter

ROLL, PITCH, YAW = 32.0, 15.0, 20.0
"""Largest rotation of a hand: in the image's plane, toward the viewer, about the forearm."""

BACK_SHARE = 0.25
"""Share of the images that show the back of the hand, not its palm."""

PALM_SIZES = 0.31, 0.41
"""Smallest and largest length of a palm, in image sizes."""

SKIN_TONES = np.array(
    [(244, 214, 196), (232, 190, 162), (222, 172, 138), (196, 142, 106), (160, 108, 76), (118, 76, 54), (82, 54, 42)]
)
"""Skin from light to dark, RGB, 0..255; a hand's tone lies between two neighbors."""


@dataclass(frozen=True)
class Finger:
    """Proportions of a finger.

    Attributes:
        knuckle: Point where it leaves the palm, x and y.
        phalanges: Lengths of its three bones, from the knuckle on.
        radius: Half its thickness at the knuckle.
        lean: Angle to the hand's axis when the fingers are spread.
    """

    knuckle: tuple[float, float]
    phalanges: tuple[float, float, float]
    radius: float
    lean: float


FINGERS = {
    "index": Finger(knuckle=(0.30, 0.96), phalanges=(0.46, 0.27, 0.20), radius=0.105, lean=14.0),
    "middle": Finger(knuckle=(0.09, 1.00), phalanges=(0.51, 0.31, 0.21), radius=0.108, lean=3.0),
    "ring": Finger(knuckle=(-0.12, 0.95), phalanges=(0.47, 0.29, 0.21), radius=0.102, lean=-8.0),
    "little": Finger(knuckle=(-0.31, 0.85), phalanges=(0.38, 0.21, 0.18), radius=0.088, lean=-22.0),
}
FINGER_TAPER = np.array((1.0, 0.88, 0.78, 0.64))
"""Radius at a finger's knuckle, two joints and tip, in radii of its knuckle."""

RAISED_BENDS = (-4, 0, 0), (16, 18, 12)
FOLDED_BENDS = (74, 95, 50), (90, 112, 72)
"""Least and largest bend at a finger's knuckle and two joints."""

THUMB_ROOT = np.array((0.20, 0.12, 0.05))
THUMB_BONES = 0.42, 0.34, 0.27
THUMB_RADII = 0.16, 0.115, 0.10, 0.075
THUMB_POSES = {
    "raised": ((52.0, 20.0), (44.0, 10.0), (36.0, 5.0)),
    "across palm": ((22.0, 42.0), (-30.0, 25.0), (-58.0, 0.0)),
    "over fist": ((30.0, 45.0), (-8.0, 45.0), (-72.0, 5.0)),
}
"""For each of the thumb's bones, its lean from y to x and its lift toward z."""

REDDER = np.array((-0.01, -0.06, -0.05))
"""Change of the skin's red, green and blue for a tint of 1."""

_SUPERSAMPLING = 3  # pixels drawn for each pixel of an image's row
_FAR = -9.0  # depth of pixels without hand, in image sizes; no forearm reaches as deep


@dataclass(frozen=True)
class Limb:
    """A bone with its flesh: the space that a ball sweeps on its way from ``start`` to ``end``.

    Attributes:
        start: Center of the ball, float ``(3,)``.
        end: Center of the ball at its other end.
        radii: The ball's radius at both ends.
        blend: Length over which the flesh blends into that of limbs drawn before.
        tint: Redness of the skin; below zero it is paler.
    """

    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float]
    blend: float = 0.012
    tint: float = 0.0


@dataclass(frozen=True)
class Surface:
    """The visible surface of a hand, float32 ``(size, size)`` each: depth, unit normal, tint, 0 or 1 for hand."""

    depth: np.ndarray
    normal: tuple[np.ndarray, np.ndarray, np.ndarray]
    tint: np.ndarray
    cover: np.ndarray


def draw_hand(rng: Generator, raised: Collection[str], *, image_size: int) -> np.ndarray:
    """Draw one hand.

    Args:
        rng: Determines everything but the gesture.
        raised: Raised fingers, keys of `FINGERS` or ``"thumb"``.
        image_size: Height and width in pixels.

    Returns:
        RGB uint8 ``(image_size, image_size, 3)``.
    """
    size = image_size * _SUPERSAMPLING
    limbs, palm = _place(rng, list(_forearm(rng)), list(_hand(rng, raised)), size)
    surface = _sculpt(limbs, size)
    light = _light(rng)
    cover = _reduce(surface.cover)
    hand = _color(rng, *_shade(rng, surface, light, palm))
    wall = _wall(rng, cover, light, palm / _SUPERSAMPLING)
    return _camera(rng, hand + wall * (1 - cover[..., None]))


def _forearm(rng: Generator) -> Iterator[Limb]:
    """Bend the wrist and extend the arm's two bones out of the image."""
    arm = _direction(180 + rng.uniform(-25, 25), rng.uniform(-15, 15))
    across = np.cross(arm, (0, 0, 1))
    for edge in (-1, 1):
        wrist = np.array((0.02, 0.12, 0.0)) + edge * 0.085 * across
        yield Limb(wrist, wrist + 5 * arm + edge * 0.3 * across, (0.20, 0.58), blend=0.25)


def _hand(rng: Generator, raised: Collection[str]) -> Iterator[Limb]:
    """Build a hand with these fingers raised, with random spread and girth."""
    spread, girth = rng.uniform(0.4, 1.1), rng.uniform(0.94, 1.18)
    limbs = [*_palm(), *_thumb(rng, raised)]
    for name, finger in FINGERS.items():
        limbs += _finger(rng, finger, raised=name in raised, spread=spread)
    for limb in limbs:
        yield replace(limb, radii=(girth * limb.radii[0], girth * limb.radii[1]))


def _palm() -> Iterator[Limb]:
    for finger in FINGERS.values():
        x, y = finger.knuckle
        yield Limb(np.array((0.45 * x, 0.08, 0.0)), np.array((x, y, 0.0)), (0.17, 1.2 * finger.radius), blend=0.2)
    ball_below_little_finger = np.array((-0.18, 0.20, 0.06)), np.array((-0.28, 0.60, 0.03))
    yield Limb(*ball_below_little_finger, (0.16, 0.13), blend=0.1)
    row_of_knuckles = np.array((0.27, 0.98, 0.0)), np.array((-0.26, 0.88, 0.0))
    yield Limb(*row_of_knuckles, (0.12, 0.10), blend=0.1)


def _finger(rng: Generator, finger: Finger, *, raised: bool, spread: float) -> Iterator[Limb]:
    lean = finger.lean * (spread if raised else 0.3) + rng.uniform(-3, 3)
    bends = np.cumsum(rng.uniform(*(RAISED_BENDS if raised else FOLDED_BENDS)))
    lengths = np.array(finger.phalanges) * rng.uniform(0.92, 1.08)
    directions = [_direction(lean, bend) for bend in bends]
    radii = finger.radius * FINGER_TAPER
    start = np.array((*finger.knuckle, 0.0))
    yield from _chain(start, lengths, directions, radii)
    tip = start + lengths @ np.array(directions)
    nail = tip - 0.55 * radii[-1] * _direction(lean, bends[-1] + 90)  # on the finger's back
    yield Limb(nail - 0.07 * directions[-1], nail, (0.048, 0.042), tint=-2.0)


def _thumb(rng: Generator, raised: Collection[str]) -> Iterator[Limb]:
    pose = "raised" if "thumb" in raised else "across palm" if len(raised) == 4 else "over fist"
    directions = [_direction(*rng.normal(angles, 4.0)) for angles in THUMB_POSES[pose]]
    yield from _chain(THUMB_ROOT, THUMB_BONES, directions, THUMB_RADII)


def _chain(
    start: np.ndarray, lengths: Collection[float], directions: list[np.ndarray], radii: Collection[float]
) -> Iterator[Limb]:
    """Join bones end to end; the first blends into the palm, and they redden toward the tip."""
    for bone, (length, direction, ends) in enumerate(zip(lengths, directions, pairwise(radii), strict=True)):
        end = start + length * direction
        yield Limb(start, end, ends, blend=0.012 if bone else 0.1, tint=0.5 * bone)
        start = end


def _direction(lean: float, lift: float) -> np.ndarray:
    """Return the unit vector y, leaned toward x and then lifted toward z."""
    lean, lift = np.radians((lean, lift))
    return np.array((np.sin(lean) * np.cos(lift), np.cos(lean) * np.cos(lift), np.sin(lift)))


def _place(rng: Generator, forearm: list[Limb], hand: list[Limb], size: int) -> tuple[list[Limb], float]:
    """Rotate a left or right hand in space and fit all of it, except its forearm, into the image.

    Returns:
        The limbs in the image's frame, in pixels, and the length of a palm in pixels.
    """
    roll, pitch, yaw = rng.uniform(-1, 1, 3) * (ROLL, PITCH, YAW) + (0, 0, 180 * (rng.random() < BACK_SHARE))
    turn = _rotation(0, 1, roll) @ _rotation(1, 2, pitch) @ _rotation(2, 0, yaw)
    turn[0] *= rng.choice((-1, 1))  # the other hand is its mirror image
    turn[1] *= -1  # y points down in an image
    limbs = forearm + hand
    ends = np.array([(limb.start, limb.end) for limb in limbs]) @ turn.T  # (limbs, 2, 3)
    flesh = 0.13
    low, high = ends[len(forearm) :, :, :2].min((0, 1)) - flesh, ends[len(forearm) :, :, :2].max((0, 1)) + flesh
    palm = float(size * min(rng.uniform(*PALM_SIZES), 0.98 / (high - low).max()))
    room = size - palm * (high - low)
    shift = np.append(room * rng.uniform(0.2, 0.8, 2) - palm * low, 0)
    ends = (palm * ends + shift).astype(np.float32)
    return [
        Limb(start, end, (palm * limb.radii[0], palm * limb.radii[1]), palm * limb.blend, limb.tint)
        for limb, (start, end) in zip(limbs, ends, strict=True)
    ], palm


def _rotation(first: int, second: int, angle: float) -> np.ndarray:
    """Return the 3 x 3 matrix that rotates the first axis toward the second."""
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = np.cos(np.radians(angle))
    turn[second, first] = np.sin(np.radians(angle))
    turn[first, second] = -turn[second, first]
    return turn


def _sculpt(limbs: list[Limb], size: int) -> Surface:
    """Draw limbs into a depth buffer of ``(size, size)`` pixels, each blended into those before it."""
    buffers = np.zeros((4, size, size), dtype=np.float32)  # depth, normal's x, normal's y, tint
    buffers[0] = _FAR * size
    for limb in limbs:
        reach = max(limb.radii)
        left, top = np.clip(np.minimum(limb.start, limb.end)[:2] - reach, 0, size).astype(int)
        right, bottom = np.clip(np.maximum(limb.start, limb.end)[:2] + reach + 1, 0, size).astype(int)
        window = buffers[:, top:bottom, left:right]
        depth, normal_x, normal_y = _sweep(limb, left, top, window.shape[1:], far=10 * _FAR * size)
        # a smooth maximum of two depths (Inigo Quilez, "Smooth minimum", the quadratic one) joins skin without a seam
        nearer = np.clip(0.5 + 0.5 * (depth - window[0]) / limb.blend, 0, 1)
        for layer, drawn in zip(window, (depth, normal_x, normal_y, np.float32(limb.tint)), strict=True):
            layer += nearer * (drawn - layer)
        window[0] += limb.blend * nearer * (1 - nearer)
    depth, x, y, tint = buffers
    cover = (depth > 0.5 * _FAR * size).astype(np.float32)
    return Surface(depth, (x, y, np.sqrt(np.maximum(1 - x**2 - y**2, 0))), tint, cover)


def _sweep(limb: Limb, left: int, top: int, shape: tuple[int, ...], *, far: float) -> tuple[np.ndarray, ...]:
    """Return depth (``far`` beside the limb) and the normal's x and y, as a window of the image sees one limb.

    Each pixel sees the ball at the point of its path where it is nearest to the viewer.
    """
    axis = limb.end - limb.start
    x = np.arange(left, left + shape[1], dtype=np.float32) - limb.start[0]
    y = np.arange(top, top + shape[0], dtype=np.float32)[:, None] - limb.start[1]
    length = max(np.hypot(axis[0], axis[1]), np.float32(1e-3))  # of the path as the image shows it
    slope = axis[2] / np.sqrt(axis @ axis)
    along = x * (axis[0] / length) + y * (axis[1] / length)
    aside = x * (axis[1] / length) - y * (axis[0] / length)
    first, last = limb.radii
    radius = first + (last - first) * np.clip(along / length, 0, 1)
    height = np.sqrt(np.maximum(radius**2 - aside**2, 0))
    moment = np.clip((along + slope * height) / length, 0, 1)
    radius = first + (last - first) * moment
    normal_x, normal_y = (x - moment * axis[0]) / radius, (y - moment * axis[1]) / radius
    facing = 1 - normal_x**2 - normal_y**2
    depth = limb.start[2] + moment * axis[2] + radius * np.sqrt(np.maximum(facing, 0))
    return np.where(facing > 0, depth, np.float32(far)), normal_x, normal_y


def _light(rng: Generator) -> np.ndarray:
    """Return the unit vector to a lamp above the hand, to its left or right, and in front of the wall."""
    azimuth, height = np.radians(rng.uniform((-60, 25), (60, 65)))
    direction = np.sin(azimuth) * np.cos(height), -np.cos(azimuth) * np.cos(height), np.sin(height)
    return np.array(direction, dtype=np.float32)


def _shade(rng: Generator, surface: Surface, light: np.ndarray, palm: float) -> list[np.ndarray]:
    """Light a hand; return brightness, sheen and tint, float32 ``(image_size, image_size)`` each."""
    x, y, z = surface.normal
    creases = _creases(surface, palm)
    # skin scatters light, so the light fades out beyond the edge of the shadow
    lit = np.clip((light[0] * x + light[1] * y + light[2] * z + 0.25) / 1.25, 0, 1) * _own_shadow(surface, light, palm)
    ambient = rng.uniform(0.35, 0.6)
    brightness = (ambient * (0.6 + 0.4 * z) + 1.25 * (1 - ambient) * lit) * (1 - 0.6 * creases)
    halfway = light + np.array((0, 0, 1), dtype=np.float32)
    halfway /= np.sqrt(halfway @ halfway)
    mirrored = np.clip(halfway[0] * x + halfway[1] * y + halfway[2] * z, 0, 1)
    sheen = mirrored**16 * lit * (1 - creases)
    return [_reduce(layer * surface.cover) for layer in (brightness, sheen, surface.tint)]


def _own_shadow(surface: Surface, light: np.ndarray, palm: float) -> np.ndarray:
    """Return the share of the light, 0..1, that other parts of the hand do not block from a pixel."""
    pixels = np.arange(len(surface.depth))
    share = np.ones_like(surface.depth)
    for step in (0.1, 0.2, 0.35):  # palms toward the light
        right, down, up = step * palm * light
        rows, columns = (np.clip(pixels + round(float(move)), 0, len(pixels) - 1) for move in (down, right))
        rise = surface.depth[rows[:, None], columns] - surface.depth - up
        share *= 1 - 0.45 * np.clip(rise / (0.08 * palm), 0, 1)
    return share


def _creases(surface: Surface, palm: float) -> np.ndarray:
    """Return how far each pixel lies below its surroundings, 0..1: the dark lines between folded fingers."""
    seen = surface.depth[surface.cover > 0]
    floor, span = seen.min(), np.ptp(seen)
    relief = np.maximum(surface.depth - floor, 0) * (255 / span)
    blurred = Image.fromarray(relief.astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.07 * palm))
    return np.clip((np.asarray(blurred) - relief) * (span / 255) / (0.12 * palm), 0, 1)


def _reduce(layer: np.ndarray) -> np.ndarray:
    """Average ``(size, size)`` drawn pixels to the ``(image_size, image_size)`` of the image."""
    return np.asarray(Image.fromarray(layer).reduce(_SUPERSAMPLING))


def _color(rng: Generator, brightness: np.ndarray, sheen: np.ndarray, tint: np.ndarray) -> np.ndarray:
    """Color a lit hand; return RGB ``(image_size, image_size, 3)``, where 1 is white."""
    tone, share = divmod(rng.uniform(0, len(SKIN_TONES) - 1), 1)
    skin = (SKIN_TONES[int(tone)] * (1 - share) + SKIN_TONES[int(tone) + 1] * share) / 255
    warmer_in_the_dark = np.array((0.9, 1.0, 1.07))
    color = skin * brightness[..., None] ** warmer_in_the_dark * (1 + tint[..., None] * REDDER)
    return color + rng.uniform(0, 0.15) * sheen[..., None]


def _wall(rng: Generator, cover: np.ndarray, light: np.ndarray, palm: float) -> np.ndarray:
    """Paint a plain wall with the hand's soft shadow, brighter toward the light; RGB ``(size, size, 3)``."""
    size = len(cover)
    paint = rng.uniform(0.62, 0.98) * (1 + rng.uniform(-0.03, 0.03, 3))
    ramp = np.linspace(-0.5, 0.5, size)
    gradient = 1 + rng.uniform(0.05, 0.3) * (light[0] * ramp + light[1] * ramp[:, None])
    distance = rng.uniform(0.15, 0.7) * palm  # from hand to wall
    right, down = (round(float(-distance * component / light[2])) for component in light[:2])
    shadow = Image.new("L", (size, size))
    shadow.paste(Image.fromarray((255 * cover).astype(np.uint8)), (right, down))
    shadow = shadow.filter(ImageFilter.GaussianBlur(rng.uniform(0.05, 0.2) * palm))
    return (gradient * (1 - rng.uniform(0.1, 0.45) * np.asarray(shadow) / 255))[..., None] * paint


def _camera(rng: Generator, scene: np.ndarray) -> np.ndarray:
    """Photograph a scene: vignette, exposure, white balance, focus, soft colors as in a JPEG, sensor noise."""
    ramp = np.linspace(-1, 1, len(scene))
    vignette = 1 - rng.uniform(0, 0.1) * (ramp**2 + ramp[:, None] ** 2)
    warmth = 1 + rng.uniform(-0.02, 0.06) * np.array((1, 0, -1))
    exposed = 255 * rng.uniform(0.85, 1.1) * scene * vignette[..., None] * warmth
    image = Image.fromarray(np.clip(exposed, 0, 255).astype(np.uint8))
    light, *colors = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.7))).convert("YCbCr").split()
    soft = [color.filter(ImageFilter.BoxBlur(1)) for color in colors]
    taken = np.asarray(Image.merge("YCbCr", (light, *soft)).convert("RGB"))
    noise = rng.normal(0, rng.uniform(1, 3), taken.shape)
    return np.clip(np.rint(taken + noise), 0, 255).astype(np.uint8)
