"""The tables of docs/claims.md, made from the code that decides them, so that the rulebook cannot go stale.

`python -m benchmarks.rulebook` writes each table between its two markers; a test fails when one is not what the
code gives. What the text around them says is written by hand.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, get_args

from node.claims.application import Application
from node.claims.genesis import Genesis, Organisation, Role
from node.claims.mutual_aid.rows import ROWS, deadlines, moves, who
from node.claims.mutual_aid.transitions import DEADLINE_OF, DEADLINE_OUTCOMES
from node.claims.transaction import Action

ROOT: Final = Path(__file__).resolve().parent.parent
DOCUMENT: Final = ROOT / "docs/claims.md"
PARAMETERS: Final = (
    ("genesis.py", "PlanTerms", ""),
    ("genesis.py", "Calendar", "calendar"),
    ("genesis.py", "StepDeadlines", "deadlines"),
    ("claim_rules.py", "ClaimRules", "claim_rules"),
    ("genesis.py", "EvidenceRules", "evidence"),
    ("genesis.py", "Costs", "costs"),
    ("jury/terms.py", "JuryTerms", "jury"),
    ("genesis.py", "PlanLife", "life"),
)
"""(file in node/claims, type, section of a plan file)."""


def _word(name: str) -> str:
    return name.lower().replace("_", "-")


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def steps() -> Iterator[str]:
    """One row for each thing that can happen to a claim."""

    def rows() -> Iterator[tuple[str, ...]]:
        for row in ROWS:
            sources = dict.fromkeys("-" if source is None else _word(source.name) for source, _, _ in moves(row))
            targets = dict.fromkeys(_word(target.name) for _, _, target in moves(row))
            late = ", ".join(_word(kind.name) for kind in deadlines(row))
            text = ", ".join(sources) if len(sources) < 9 else f"{len(sources)} statuses"
            reached = ", ".join(targets) if len(targets) < 9 else f"{len(targets)} statuses"
            yield str(row.number), row.title, text, reached, ", ".join(who(row)), late, row.money

    return _table(("#", "what", "from", "to", "who", "by itself at the deadline", "money"), rows())


def clocks() -> Iterator[str]:
    """What the clock does in each status that waits."""
    rows = (
        (
            _word(status.name),
            _word(kind.name),
            ", ".join(_word(event.name) for event in DEADLINE_OUTCOMES.get(status, ())),
        )
        for status, kind in DEADLINE_OF.items()
    )
    return _table(("status", "deadline", "when it passes"), rows)


def roles() -> Iterator[str]:
    """Who may send what, of all modules."""
    names = tuple(Organisation(name=n, node_key=b"", account_keys=(n.encode() * 32,), roles=tuple(Role)) for n in "ab")
    application = Application(Genesis(chain="roles", time_ms=0, organisations=names))
    columns = [role.value for role in Role] + ["member"]

    def rows() -> Iterator[tuple[str, ...]]:
        for action in get_args(Action):
            allowed = [
                any(action in module.permitted().get(role, ()) for module in application.modules) for role in Role
            ]
            allowed.append(any(action in module.permitted_to_members() for module in application.modules))
            yield (f"`{action.__name__}`", *("x" if may else "" for may in allowed))

    return _table(("action", *columns), rows())


def parameters() -> Iterator[str]:
    """Every parameter of a plan file, with what the code says of it and its default."""

    def rows() -> Iterator[tuple[str, ...]]:
        for file, kind, section in PARAMETERS:
            for name, meaning, default in _fields(ROOT / "node/claims" / file, kind):
                if not default.endswith("()"):
                    yield f"`{section}.{name}`" if section else f"`{name}`", meaning, default

    return _table(("parameter", "meaning", "default"), rows())


def _fields(path: Path, kind: str) -> Iterator[tuple[str, str, str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind]
    for place, node in enumerate(found.body):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        following = found.body[place + 1] if place + 1 < len(found.body) else None
        text = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            text = " ".join(str(following.value.value).split()).replace("|", "/")
        yield node.target.id, text, ast.unparse(node.value) if node.value is not None else "must be given"


TABLES: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "steps": steps,
    "clocks": clocks,
    "roles": roles,
    "parameters": parameters,
}


def rendered(text: str) -> str:
    """The document with every table between its markers as the code gives it now."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: made by benchmarks/rulebook.py -->\n", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{DOCUMENT.name} has not one place for the table {name}")
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = before + begin + "\n".join(table()) + "\n" + end + after
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
