"""Damage to the bytes of a file, each kind drawn from a seeded generator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SECTOR = 512

Mutation = Callable[[bytearray, np.random.Generator], bytearray]


def flip_bits(data: bytearray, rng: np.random.Generator) -> bytearray:
    for place in rng.integers(0, len(data), rng.integers(1, 9)):
        data[place] ^= 1 << int(rng.integers(8))
    return data


def zero_sector(data: bytearray, rng: np.random.Generator) -> bytearray:
    start = int(rng.integers(0, max(1, len(data) // SECTOR))) * SECTOR
    end = min(len(data), start + SECTOR)
    data[start:end] = bytes(end - start)
    return data


def scramble_sector(data: bytearray, rng: np.random.Generator) -> bytearray:
    start = int(rng.integers(0, max(1, len(data) // SECTOR))) * SECTOR
    end = min(len(data), start + SECTOR)
    data[start:end] = rng.bytes(end - start)
    return data


def extreme_number(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Overwrite what may be a length, a count or an offset."""
    size = int(rng.choice([1, 2, 4, 8]))
    value = rng.choice([b"\xff", b"\x7f", b"\x00", b"\x80"])
    start = int(rng.integers(0, max(1, len(data) - size)))
    data[start : start + size] = bytes(value) * size
    return data


def truncate(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: int(rng.integers(0, len(data)))]


def cut_out(data: bytearray, rng: np.random.Generator) -> bytearray:
    start, length = int(rng.integers(0, len(data))), int(rng.integers(1, SECTOR))
    del data[start : start + length]
    return data


def repeat(data: bytearray, rng: np.random.Generator) -> bytearray:
    start, length = int(rng.integers(0, len(data))), int(rng.integers(1, SECTOR))
    data[start:start] = data[start : start + length]
    return data


def odd_text(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Put text in that a parser, a terminal or a spreadsheet may take for something else."""
    text = ODD_TEXTS[int(rng.integers(len(ODD_TEXTS)))]
    start = int(rng.integers(0, len(data)))
    data[start : start + int(rng.integers(0, 8))] = text
    return data


ODD_TEXTS = (
    b"\x1b]52;c;aGVsbG8=\x07",  # a terminal writes its clipboard
    b"\r\n",
    b'"',
    b"NaN",
    b"-1e999",
    b"null",
    b"[" * 2000,
    b"9" * 5000,
    "\u202e\u0000\ud7ff".encode(),
    b"\xff\xfe",
    b"../" * 20,
    b"=cmd()",
)

MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    zero_sector,
    scramble_sector,
    extreme_number,
    truncate,
    cut_out,
    repeat,
    odd_text,
)


def mutate(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Damage a file in one to three ways; return it with the names of the ways."""
    changed, names = bytearray(data), []
    for _ in range(int(rng.integers(1, 4))):
        if changed:
            mutation = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
            changed = mutation(changed, rng)
            names.append(mutation.__name__)
    return bytes(changed), " ".join(names)
