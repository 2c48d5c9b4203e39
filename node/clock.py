"""Chain time: the wall clock, or a clock that runs faster for demonstrations.

Chain time and wall time meet at the genesis time; from there the chain clock runs `time_scale` times as fast.
At scale 1 both are the same. Block times come from here; rules only ever read the block's time.
"""

from __future__ import annotations

from collections.abc import Callable

from node.link import wall_ms


class ChainClock:
    """Chain time of this machine, UTC milliseconds."""

    def __init__(self, genesis_ms: int, scale: int, wall: Callable[[], int] = wall_ms) -> None:
        self._genesis_ms = genesis_ms
        self._scale = scale
        self._wall = wall

    def now_ms(self) -> int:
        return self._genesis_ms + (self._wall() - self._genesis_ms) * self._scale

    def real_ms_until(self, chain_ms: int) -> int:
        """Real milliseconds from now until chain time `chain_ms`, rounded up; negative if it has passed."""
        return -((self.now_ms() - chain_ms) // self._scale)

    def chain_ms_of(self, real_ms: int) -> int:
        """A real duration as it passes on the chain clock."""
        return real_ms * self._scale
