"""docs/scale.md and its picture, drawn from docs/scale.json and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import log10
from pathlib import Path
from typing import Final

from benchmarks.scale.picture import picture
from benchmarks.scale.results import CASES, CYCLE, ONE, READS, Results, Size, extrapolated

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
RESULTS: Final = DOCS / "scale.json"
PICTURE: Final = "images/scale.svg"
FAR: Final = 10**8
GIB: Final = 1 << 30
MIB: Final = 1 << 20


def draw(results: Results, folder: Path) -> None:
    """Write the page and the picture."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / PICTURE).write_text(picture(results.sizes), encoding="utf-8")
    (folder / "scale.md").write_text(page(results), encoding="utf-8")


def words(results: Results) -> dict[str, str]:
    """What each operation is, for people."""
    load = results.sizes[0].load
    return {
        "disclosure and publication": f"disclosure of a cycle, {load.cases} cases published",
        "confirmation": f"{load.cases} cases confirmed",
        "settlement": f"settlement, {load.cases} cases settled",
        "missed investigations": f"{load.missed:,} missed investigations passed on",
        "file the cases": f"{load.cases} claims filed",
        "investigate the cases": f"{load.cases} investigated",
        "review the cases": f"{load.cases} reviewed",
        "pay the cases": f"{load.cases} paid, and their members leave",
        "enrol one": "one member enrolled",
        "enrol batch": "1,000 members enrolled",
        "file a claim": "one claim filed",
        "investigate a claim": "one claim investigated",
        "review a claim": "one claim reviewed",
        "statement": "a member's statement",
        "proof": "proof of a member's record",
        "verify a proof": "that proof checked, offline",
    }


def power(members: int) -> str:
    exponent = log10(members)
    return f"10^{exponent:.0f}" if exponent == int(exponent) else f"{members:,}"


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _near(results: Results) -> list[Size]:
    """The sizes that ratios are taken between: all below 10^8, if there are any."""
    return [size for size in results.sizes if size.members < FAR] or results.sizes


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(first: str, columns: Sequence[str]) -> list[str]:
    return [_row([first, *columns]), _row(["---", *["---:"] * len(columns)])]


def _times(results: Results, names: Sequence[str]) -> Iterator[str]:
    sizes, near, text = results.sizes, _near(results), words(results)
    guessed = all(size.members < FAR for size in sizes)
    columns = [power(size.members) for size in sizes] + ([f"*{power(FAR)}*"] if guessed else [])
    columns.append(f"{power(near[-1].members)} / {power(near[0].members)}")
    yield from _head("processor ms", [*columns, *(f"wall, {power(size.members)}" for size in sizes)])
    for name in names:
        first, last = near[0].figures[name].median, near[-1].figures[name].median
        cells = [_ms(size.figures[name].median.processor) for size in sizes]
        if guessed:
            cells.append(f"*{_ms(extrapolated(near, name, FAR))}*")
        cells.append(f"{last.processor / first.processor:.2f}")
        yield _row([text[name], *cells, *(_ms(size.figures[name].least.wall) for size in sizes)])


def _work(results: Results, names: Sequence[str]) -> Iterator[str]:
    """Counts: the application's once, being equal at every size, the tree's by size."""
    sizes, text = results.sizes, words(results)
    columns = ["records read", "rows scanned", "records written"]
    columns += [f"pages + nodes + look-ups, {power(size.members)}" for size in sizes]
    yield from _head("in one block", columns)
    for name in names:
        cells: list[str] = []
        for what in ("reads", "scanned", "writes"):
            counts = [getattr(size.figures[name].work, what) for size in sizes]
            cells.append(f"{counts[0]:,}" if len(set(counts)) == 1 else " / ".join(f"{count:,}" for count in counts))
        for size in sizes:
            work = size.figures[name].work
            cells.append("" if work is None else f"{work.pages:,} + {work.inner:,} + {work.lookups:,}")
        yield _row([text[name], *cells])


def _parts(results: Results, names: Sequence[str]) -> Iterator[str]:
    near, text = _near(results), words(results)
    ends = [near[0], near[-1]]
    columns = [f"{part}, {power(size.members)}" for part in ("application", "tree", "disk") for size in ends]
    yield from _head("processor ms", columns)
    for name in names:
        cells = [
            _ms(getattr(size.figures[name].median, part)) for part in ("application", "tree", "write") for size in ends
        ]
        yield _row([text[name], *cells])


def _nodes(results: Results) -> Iterator[str]:
    rows: list[tuple[str, Callable[[Size], str]]] = [
        ("state on disk, GiB", lambda size: f"{size.filled_bytes / GIB:.2f}"),
        ("bytes for each member", lambda size: f"{size.filled_bytes / size.members:,.0f}"),
        ("inner nodes of the tree, in memory", lambda size: f"{size.inner_nodes:,}"),
        ("memory once started, MiB", lambda size: f"{size.start_bytes / MIB:,.0f}"),
        ("memory at the end, MiB", lambda size: f"{size.end_bytes / MIB:,.0f}"),
        ("start, every entry read and hashed, s", lambda size: f"{size.start_s:.1f}"),
        ("proof of a record, bytes", lambda size: f"{size.proof_bytes:,}"),
        ("filling in bulk, s", lambda size: f"{sum(size.fill_s.values()):,.0f}"),
    ]
    yield from _head("one node", [power(size.members) for size in results.sizes])
    for text, value in rows:
        yield _row([text, *(value(size) for size in results.sizes)])


def _far_node(near: Sequence[Size]) -> str:
    """What the node needs at 10^8 if it goes on in proportion."""
    if len(near) < 2:
        return ""
    before, last = near[-2:]
    more = (FAR - last.members) / (last.members - before.members)
    disk = last.filled_bytes + (last.filled_bytes - before.filled_bytes) * more
    memory = last.start_bytes + (last.start_bytes - before.start_bytes) * more
    start_s = last.start_s + (last.start_s - before.start_s) * more
    return (
        f"By proportion, so again as an extrapolation, {power(FAR)} members need {disk / GIB:.0f} GiB of disk, "
        f"{memory / MIB:.0f} MiB of memory once\nstarted, and {start_s:.0f} s for a start.\n"
    )


def _machine(results: Results) -> Iterator[str]:
    for size in results.sizes:
        host, when = size.machine, f"{size.day}, program of {size.revision}"
        yield (
            f"- {power(size.members)}: {when}; {host['processor']}, {host['cores']} cores, {host['memory']}, "
            f"Python {host['Python']}; load {host['load before']}"
            f"{'; read-ahead ' + host['read-ahead'] if 'read-ahead' in host else ''}."
        )


def page(results: Results) -> str:
    """The whole page. Needs at least one size."""
    near = _near(results)
    if any(size.members >= FAR for size in results.sizes):
        about_far = f"{power(FAR)} was measured too, in fewer rounds."
        if len({size.revision for size in results.sizes}) > 1:
            about_far += (
                " Not by the same program as the others: the end of the page has each, with the machine's load."
            )
    else:
        line = f"the straight line over log(members) through {power(near[0].members)} and {power(near[-1].members)}"
        about_far = f"The column *{power(FAR)}* is an **extrapolation**, not a measurement: {line}."
    return _PAGE.format(
        picture=PICTURE,
        about_far=about_far,
        cycle_times=_block(_times(results, CYCLE)),
        cycle_work=_block(_work(results, CYCLE)),
        cycle_parts=_block(_parts(results, CYCLE)),
        other_times=_block(_times(results, (*ONE, *CASES, *READS))),
        other_work=_block(_work(results, (*ONE, *CASES))),
        nodes=_block(_nodes(results)),
        far_node=_far_node(near) if len(near) == len(results.sizes) else "",
        machines=_block(_machine(results)),
    )


def _block(lines: Iterator[str]) -> str:
    return "\n".join(lines)


_PAGE: Final = """\
# What one member more costs

Made by `make scale` from [scale.json](scale.json); do not edit. The programme this is modelled on had 10^8 members. One
of that size can be run only if a cycle costs what its cases cost, whatever the number of members. This page measures
that, in the databases of a real node.

![Milliseconds of a block against members, both in powers of ten]({picture})

## A cycle, and a day's deadlines

The clock makes these blocks. What the application reads, scans and writes in them is the same at every size, to the
record; the command fails if it is not.

{cycle_times}

{cycle_work}

The first table has the median processor time of the node's thread for a whole block at each size, and the ratio of the
largest to the smallest; then the fastest block by the clock on the wall, disk included. The machine was shared with
other work, which the wall clock shows and the processor time mostly does not.

{about_far}

What does grow is the way from a record to the state root: one level of nodes more for every 16 times as many members,
larger tables to hash them from, and records and pages that are in no cache of the node's and are looked up in LevelDB.
Each record written pays for it once, so it shows in the parts called tree and disk. The application, which is the
programme itself, takes the same time:

{cycle_parts}

## Members and claims

{other_times}

{other_work}

A page holds up to 32 records and is split in 16, so pages are emptier and fuller again between powers of 16, and the
number of pages and nodes that a block touches goes up and down with it.

## The node

{nodes}

What grows in proportion to the members is what has to be there: on disk a member's record, and the entry that keeps a
person from enrolling twice; in memory the upper tree, one node for every 16 pages; and the time of a start, which reads
and hashes every entry to prove that none is lost. Memory does not count the table files that LevelDB maps.
{far_node}
## How it was measured

- A state database is filled with members 1 to N in bulk: every enrolling transaction goes through the application, its
  records are sorted and written once, and the tree is cut from all of its entries at once. A test fills a database both
  ways, in bulk and by signed blocks, and finds the same state.
- Then one node applies blocks of signed transactions as it would among others: signatures checked, block built and
  executed, kept with a sync, certified, written to both databases. Only the network is left out.
- Claimants are spread over all members, so their records are cold. Where they are not in memory, the disk decides, and
  how much the kernel reads where one row is asked for (operations.md, Very large programmes). The sizes take turns, so
  that other work on the machine meets all of them. The first block of each kind is counted and not timed.

```sh
make scale                              # 10^5, 10^6 and 10^7 members: this page and its picture
make scale SIZES=100000000 ROUNDS=1     # 10^8: adds that column, or replaces it
```

Measured:

{machines}
"""
