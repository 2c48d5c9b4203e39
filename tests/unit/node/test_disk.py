"""Read-ahead of the disk below a database, from a tree that looks like the kernel's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node.disk import LARGE, SYSFS, advice, read_ahead


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    device = os.stat(tmp_path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    (tmp_path / "class/bdi" / number).mkdir(parents=True)
    (tmp_path / "class/bdi" / number / "read_ahead_kb").write_text("8192\n")
    (tmp_path / "dev/block" / number).mkdir(parents=True)
    (tmp_path / "dev/block" / number / "uevent").write_text("MAJOR=254\nDEVNAME=vdz\nDEVTYPE=disk\n")
    return tmp_path


def setting(sysfs: Path) -> Path:
    return next(sysfs.glob("class/bdi/*/read_ahead_kb"))


def test_a_large_state_on_a_disk_that_reads_far_ahead_is_told_of(sysfs: Path) -> None:
    assert read_ahead(sysfs, sysfs) == (8 << 20, "/dev/vdz")
    told = advice(sysfs, LARGE, sysfs)
    assert told is not None and "8192 KiB" in told and "blockdev --setra 256 /dev/vdz" in told
    assert advice(sysfs, LARGE - 1, sysfs) is None, "memory has all of it"
    setting(sysfs).write_text("128\n")
    assert advice(sysfs, LARGE, sysfs) is None


def test_without_a_name_of_the_device_the_operator_puts_it_in(sysfs: Path) -> None:
    next(sysfs.glob("dev/block/*/uevent")).unlink()
    told = advice(sysfs, LARGE, sysfs)
    assert told is not None and "--setra 256 DEVICE" in told


def test_a_partition_has_the_setting_of_its_disk(sysfs: Path) -> None:
    block = next(sysfs.glob("dev/block/*"))
    disk = sysfs / "devices/block/vdz"
    disk.mkdir(parents=True)
    (disk / "dev").write_text("999:0\n")
    block.rename(disk / "vdz1")
    block.symlink_to(disk / "vdz1")
    (disk / "vdz1/partition").write_text("1\n")
    (disk / "vdz1/uevent").write_text("DEVNAME=vdz1\nDEVTYPE=partition\n")
    setting(sysfs).parent.rename(sysfs / "class/bdi/999:0")
    assert read_ahead(sysfs, sysfs) == (8 << 20, "/dev/vdz1")


def test_a_name_that_is_no_text_is_left_to_the_operator(sysfs: Path) -> None:
    next(sysfs.glob("dev/block/*/uevent")).write_bytes(b"DEVNAME=\xff\n")
    assert read_ahead(sysfs, sysfs) == (8 << 20, "")


@pytest.mark.parametrize("text", ["", "none", None])
def test_where_the_kernel_does_not_say_there_is_no_advice(sysfs: Path, text: str | None) -> None:
    if text is None:
        setting(sysfs).unlink()
    else:
        setting(sysfs).write_text(text)
    assert read_ahead(sysfs, sysfs) is None and advice(sysfs, LARGE, sysfs) is None


@pytest.mark.skipif(not (SYSFS / "class/bdi").is_dir(), reason="no Linux here")
def test_this_machine_answers_or_says_nothing(tmp_path: Path) -> None:
    found = read_ahead(tmp_path)
    assert found is None or found[0] >= 0
    assert read_ahead(tmp_path / "not there") is None
