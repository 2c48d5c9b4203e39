"""Named mixes of faults. A seed together with a mix determines a run completely."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What may go wrong before the network heals. Counts are per run; times in simulated milliseconds."""

    name: str
    what: str
    sizes: tuple[tuple[int, int], ...] = ((1, 1), (4, 10), (5, 3), (6, 3), (7, 4), (10, 1), (13, 1))
    """(n, weight)."""
    windows: tuple[int, ...] = (1, 2, 4, 8)
    chaos_ms: tuple[int, int] = (150, 700)
    transactions: tuple[int, int] = (5, 25)
    delay_ms: tuple[int, int] = (1, 8)
    loss: tuple[float, ...] = (0.0,)
    duplicate: tuple[float, ...] = (0.0,)
    reorder: tuple[float, ...] = (0.0,)
    partitions: tuple[int, int] = (0, 0)
    flaps: tuple[int, int] = (0, 0)
    """Single connections that drop and come back."""
    deaf: tuple[int, int] = (0, 0)
    """Times at which a node stops hearing some of the others for a while."""
    crashes: tuple[int, int] = (0, 0)
    blackouts: tuple[int, int] = (0, 0)
    """All honest nodes crash at once."""
    wipes: int = 0
    """At most so many nodes lose their disks; never more than f together with the faulty ones."""
    byzantine: bool = False
    twins: bool = False
    rotate: tuple[int, ...] = field(default=(10_000,))
    view_timeout_ms: tuple[int, ...] = (60,)
    clock_ms: tuple[int, ...] = (10_000,)
    """How far a first proposal's time may be off."""
    signatures: str = "keyed hash"


SMALL = ((4, 10), (5, 3), (6, 3), (7, 3))

_MIXES: Final = (
    Mix(name="calm", what="nothing goes wrong"),
    Mix(
        name="lossy",
        what="messages lost, doubled, overtaken",
        loss=(0.02, 0.1, 0.25),
        duplicate=(0.0, 0.1),
        reorder=(0.0, 0.2, 0.5),
        delay_ms=(1, 20),
    ),
    Mix(name="partitions", what="the network is cut and heals, connections flap", partitions=(1, 4), flaps=(0, 10)),
    Mix(
        name="one-way",
        what="nodes are deaf to some of the others, so that few learn what was decided",
        sizes=SMALL,
        deaf=(4, 16),
        transactions=(15, 40),
        windows=(2, 4, 8),
        crashes=(0, 2),
    ),
    Mix(
        name="hasty",
        what="timeouts hardly longer than a round: views change in the middle of everything",
        sizes=SMALL,
        view_timeout_ms=(12, 20, 30),
        delay_ms=(1, 14),
        deaf=(0, 6),
        crashes=(0, 3),
        transactions=(15, 40),
        windows=(2, 4, 8),
    ),
    Mix(name="crashes", what="nodes crash between any two writes or sends", crashes=(1, 8), blackouts=(0, 1)),
    Mix(
        name="byzantine",
        what="up to f replicas lie",
        sizes=SMALL,
        byzantine=True,
        chaos_ms=(200, 900),
        partitions=(0, 1),
        flaps=(0, 4),
    ),
    Mix(
        name="byzantine-crashes",
        what="up to f replicas lie while honest ones crash",
        sizes=SMALL,
        byzantine=True,
        crashes=(1, 6),
        blackouts=(0, 1),
        partitions=(0, 2),
        flaps=(0, 4),
        loss=(0.0, 0.05),
        chaos_ms=(200, 900),
    ),
    Mix(name="twins", what="two instances with one key", sizes=SMALL, twins=True, chaos_ms=(300, 1200), flaps=(0, 3)),
    Mix(
        name="wipes",
        what="nodes lose their disks and listen",
        sizes=SMALL,
        wipes=2,
        crashes=(0, 2),
        flaps=(0, 3),
        rotate=(3, 10_000),
        transactions=(15, 40),
        windows=(1, 2, 4),
        chaos_ms=(300, 1200),
    ),
    Mix(
        name="rotation",
        what="the primary changes every few blocks",
        rotate=(1, 2, 3, 5),
        loss=(0.0, 0.05),
        flaps=(0, 4),
        crashes=(0, 2),
        transactions=(15, 40),
    ),
    Mix(
        name="big-n",
        what="10 or 13 replicas, all kinds of faults",
        sizes=((10, 3), (13, 1)),
        byzantine=True,
        crashes=(0, 3),
        partitions=(0, 1),
        transactions=(4, 10),
        chaos_ms=(150, 400),
    ),
    Mix(
        name="window-1",
        what="plain PBFT: one block at a time",
        windows=(1,),
        loss=(0.0, 0.1),
        crashes=(0, 4),
        partitions=(0, 2),
        flaps=(0, 4),
    ),
    Mix(
        name="clocks",
        what="clock bounds so tight that old proposals fail them",
        clock_ms=(60, 120),
        crashes=(0, 4),
        partitions=(0, 3),
        flaps=(0, 6),
    ),
    Mix(
        name="storm",
        what="everything at once",
        sizes=SMALL,
        byzantine=True,
        wipes=1,
        loss=(0.0, 0.05, 0.15),
        duplicate=(0.0, 0.1),
        reorder=(0.0, 0.3),
        partitions=(1, 3),
        flaps=(0, 8),
        deaf=(0, 8),
        crashes=(1, 6),
        blackouts=(0, 1),
        rotate=(3, 10_000),
        chaos_ms=(300, 1500),
    ),
    Mix(
        name="ed25519",
        what="real signatures, a little of everything",
        sizes=((4, 1),),
        byzantine=True,
        crashes=(0, 2),
        partitions=(0, 1),
        transactions=(3, 8),
        chaos_ms=(100, 300),
        signatures="Ed25519",
    ),
)

MIXES: Final = {mix.name: mix for mix in _MIXES}
