"""The rows of a batch that a process makes, where several devices train one network together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """The part of a process in a training by several devices, each of which gets as many rows of every batch.

    Attributes:
        rank: Number of the process, from 0. The first one writes the run.
        count: Processes, each with as many of the devices.
        devices: Devices of all processes together.
    """

    rank: int = 0
    count: int = 1
    devices: int = 1

    def check(self, batch_size: int, images: int) -> None:
        """Refuse batches that the devices do not divide.

        Args:
            batch_size: Images in a batch, over all devices.
            images: Images in all batches.

        Raises:
            ValueError: If some devices would get more images than others, or none.
        """
        if batch_size % self.devices:
            below = batch_size // self.devices * self.devices
            sizes = [str(size) for size in (below, below + self.devices) if size]
            raise ValueError(
                f"expected a batch_size that {self.devices} devices divide, got {batch_size}; begin a run with "
                f"{' or '.join(sizes)}, or use fewer devices."
            )
        if images < self.devices:
            raise ValueError(f"expected an image for each of {self.devices} devices, got {images}; use fewer devices.")

    def rows(self, total: int) -> slice:
        """Return the rows of this process in a batch of ``total`` rows, a multiple of the devices."""
        size = total // self.count
        return slice(self.rank * size, (self.rank + 1) * size)


ALONE = Share()
"""A process with one device."""
