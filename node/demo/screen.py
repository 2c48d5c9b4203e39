"""What the demonstration shows: a live board on a terminal, plain lines otherwise."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from node.claims.mutual_aid.transitions import ClaimStatus

_LINES: Final = 12
_PLAIN_EVERY_S: Final = 3.0
_ALWAYS: Final = ("filed", "investigated", "accepted", "published", "confirmed", "settled", "paid", "denied")
"""Shown with nothing in them too; other statuses when a claim is in them."""
_OTHERS: Final = tuple(status.name.lower().replace("_", "-") for status in ClaimStatus)
CLAIM_ORDER: Final = (*_ALWAYS, *(name for name in _OTHERS if name not in _ALWAYS))
_STYLES: Final = {
    "paid": "green",
    "denied": "red",
    "closed-denied": "red",
    "written-off": "red",
    "settled": "cyan",
    "confirmed": "cyan",
}


class Board:
    """Everything the screen shows; the story writes it, the screen reads it."""

    def __init__(self) -> None:
        self.title = "Commonweal — organisations that need not trust each other agree on real claims"
        self.step = ""
        self.date = ""
        self.nodes: list[dict[str, Any]] = []
        self.claims: dict[str, int] = {}
        self.members = 0
        self.share = ""
        self.paid = ""


class Screen:
    """Context manager around the story. Off a terminal it prints each line once, and how things stand now and then."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.board = Board()
        self._console, self._quiet = console, quiet
        self._lines: deque[Text] = deque(maxlen=_LINES)
        self._live: Live | None = None
        self._began = time.monotonic()
        self._last_summary = self._began
        if console.is_terminal and not quiet:
            self._live = Live(self._render(), console=console, refresh_per_second=8, get_renderable=self._render)

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        """A line of the story."""
        if self._quiet:
            return
        stamp = f"{time.monotonic() - self._began:5.1f} s  "
        if self._live is not None:
            self._lines.append(Text().append(stamp, style="dim").append(text, style=style))
        else:
            self._console.print(Text(stamp + text), soft_wrap=True)

    def tick(self) -> None:
        """Off a terminal: how things stand, every few seconds."""
        now = time.monotonic()
        if self._live is not None or self._quiet or now - self._last_summary < _PLAIN_EVERY_S:
            return
        self._last_summary = now
        board = self.board
        claims = ", ".join(f"{board.claims[name]} {name}" for name in CLAIM_ORDER if board.claims.get(name))
        heights = " ".join(f"{node['name']} {node['height'] if node['up'] else 'down'}" for node in board.nodes)
        self.say(f"{board.date}  heights: {heights}  claims: {claims or 'none yet'}")

    def _render(self) -> RenderableType:
        board = self.board
        nodes = Table(box=None, expand=True, header_style="dim", padding=(0, 1))
        for name in ("organisation", "height", "role", "state"):
            nodes.add_column(name, justify="right" if name == "height" else "left")
        for node in board.nodes:
            state = Text("● running", style="green") if node["up"] else Text("✗ killed", style="bold red")
            if node.get("starting"):
                state = Text("○ starting", style="dim")
            if node["up"] and node.get("behind"):
                state = Text(f"◐ catching up, {node['behind']} behind", style="yellow")
            role = Text("primary", style="bold") if node.get("primary") else Text("")
            nodes.add_row(node["name"], str(node["height"]), role, state)
        claims = Table.grid(padding=(0, 1))
        for name in CLAIM_ORDER:
            count = board.claims.get(name, 0)
            if not count and name not in _ALWAYS:
                continue
            claims.add_row(name, Text("█" * min(count, 40), style=_STYLES.get(name, "yellow")), str(count or ""))
        sides = Table.grid(expand=True, padding=(0, 1))
        sides.add_column(ratio=3)
        sides.add_column(ratio=2)
        money = f"{board.members} members" + (f", each has shared {board.share}" if board.share else "")
        money += f", paid {board.paid}" if board.paid else ""
        left = Panel(Group(nodes, "", Text(money, style="dim")), title=f"chain time {board.date}", title_align="left")
        sides.add_row(left, Panel(claims, title="claims", title_align="left"))
        story = Panel(Group(*self._lines), title=board.step, title_align="left", height=_LINES + 2)
        return Group(Text(board.title, style="bold"), sides, story)
