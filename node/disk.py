"""What the kernel does between the databases and the disk: how much it reads where little was asked for.

LevelDB maps its tables into memory. A row that is not there yet makes the kernel read what lies around it, as much as
the block device is set to read ahead: 128 KiB on most systems, and 4 or 8 MiB on some virtual machines, which then read
a whole table for one row.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

SYSFS: Final = Path("/sys")
MOST_READ_AHEAD: Final = 512 << 10
"""Above this a row costs more in what is read around it than in being found."""
LARGE: Final = 1 << 30
"""Bytes of a database below which the machine's memory has it all soon, whatever was read ahead."""


def read_ahead(path: Path, sysfs: Path = SYSFS) -> tuple[int, str] | None:
    """Bytes read ahead on the device that holds `path`, and the device's name ("" if it has none of its own).

    None where the kernel does not say: another system than Linux, or a file system without a device.
    """
    try:
        device = os.stat(path).st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        block = Path(os.path.realpath(sysfs / "dev/block" / number))
        if (block / "partition").exists():
            number = (block.parent / "dev").read_text().strip()  # the setting is the whole disk's
        size = int((sysfs / "class/bdi" / number / "read_ahead_kb").read_text()) << 10
    except (OSError, ValueError):
        return None
    try:
        events = (block / "uevent").read_text().splitlines()
    except (OSError, ValueError):
        events = []
    return size, next((f"/dev/{line[8:]}" for line in events if line.startswith("DEVNAME=")), "")


def advice(path: Path, database_bytes: int, sysfs: Path = SYSFS) -> str | None:
    """What an operator should change about the disk below a database of that size; None if nothing."""
    found = read_ahead(path, sysfs) if database_bytes >= LARGE else None
    if found is None or found[0] <= MOST_READ_AHEAD:
        return None
    size, device = found
    return (
        f"the disk below {path} reads {size >> 10} KiB wherever one row is asked for; "
        f"set that to 128: blockdev --setra 256 {device or 'DEVICE'} (docs/operations.md, Very large programmes)"
    )
