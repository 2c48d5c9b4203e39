"""Tables and sheets for people. Times in local time and UTC, amounts with their currency, long hashes whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

STATUS_STYLES = {
    "paid": "green",
    "settled": "green",
    "committed": "green",
    "active": "green",
    "denied": "red",
    "closed-denied": "red",
    "clawback-upheld": "red",
    "lapsed": "red",
    "recovered": "green",
    "rejected": "red",
    "expired": "red",
    "waiting": "yellow",
    "pending": "yellow",
}


def when(time_ms: int | None) -> str:
    """`2026-11-23 12:04:31 (11:04:31 UTC)`; the UTC part gives the date too if it differs."""
    if not time_ms:
        return "—"
    try:
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        local = moment.astimezone()
    except (OverflowError, ValueError, OSError):
        return f"{time_ms} ms"
    if local.utcoffset() == moment.utcoffset():
        return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    utc = f"{moment:%H:%M:%S}" if local.date() == moment.date() else f"{moment:%Y-%m-%d %H:%M:%S}"
    return f"{local:%Y-%m-%d %H:%M:%S} ({utc} UTC)"


def status_text(status: str) -> Text:
    return Text(status, style=STATUS_STYLES.get(status, ""))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[RenderableType | None]], *, right: Sequence[int] = ()
) -> Table:
    """A table with plain rules that stays readable when it is piped."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, name in enumerate(columns):
        made.add_column(name, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*("—" if cell is None or cell == "" else cell for cell in row))
    return made


def sheet(rows: Iterable[tuple[str, RenderableType | None]]) -> Table:
    """Names and values, one pair a line; pairs without a value are left out."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        if value is not None and value != "":
            made.add_row(name, value)
    return made


def money(record: Mapping[str, Any], field: str) -> str:
    """An amount of a record with the record's currency."""
    value = record.get(field)
    return "" if value is None else f"{value} {record.get('currency', '')}".strip()


def claim_sheet(claim: Mapping[str, Any]) -> RenderableType:
    """Everything about one claim, step by step."""
    from node.cli.show_claim import clawback_rows, life_rows, next_rows, refusal_rows, step_text

    ailment, investigation = claim["ailment"], claim.get("investigation") or {}
    payment = claim.get("payment") or {}
    waits = f"{claim['assigned']}, until {when(claim['deadline_ms'])}" if claim.get("assigned") else ""
    if not waits and claim.get("deadline_ms"):
        waits = f"the chain, at {when(claim['deadline_ms'])}"
    return sheet(
        [
            ("claim", Text(claim["id"], style="bold")),
            ("status", status_text(claim["status"])),
            ("waits for", waits),
            *refusal_rows(claim),
            *next_rows(claim),
            ("member", claim["member"]),
            ("plan", f"{claim['plan']}, version {claim['plan_version']}"),
            ("ailment", f"{ailment['code']} {ailment['name']} ({ailment['tier']})"),
            ("diagnosed", claim["diagnosis_date"] + (" (accident)" if claim["accident"] else "")),
            ("asked for", money(claim, "claimed")),
            ("granted", money(claim, "amount")),
            ("filed", f"{when(claim['filed_ms'])} by {claim['filed_by']}"),
            ("evidence", claim["evidence"]),
            *life_rows(claim),
            ("investigated", step_text(investigation, "finding")),
            *[("reviewed", step_text(review, "decision")) for review in claim.get("reviews") or ()],
            ("cycle", str(claim["cycle"]) if claim.get("cycle") else ""),
            ("paid", f"by {payment['organisation']}, receipt {payment['receipt']}" if payment else ""),
            *clawback_rows(claim),
            ("last change", when(claim["changed_ms"])),
        ]
    )


def member_sheet(member: Mapping[str, Any]) -> RenderableType:
    return sheet(
        [
            ("member", Text(member["id"], style="bold")),
            ("status", status_text(member["status"])),
            ("plan", member["plan"]),
            ("enrolled", f"{member['enrolled_on']} by {member['enrolled_by']}"),
            ("covered", f"from {member['cover_from']}" + _until(member.get("cover_until"))),
            ("born", f"{member['birth_month']} ({member['age_years']} years)"),
            ("pays through", member.get("pays_through")),
            ("units", str(member["units"])),
            ("billed so far", money(member, "billed")),
            *_balance(member),
            ("claims", f"{member['open_claims']} open, {member['paid_claims']} paid"),
            ("last claim", member.get("last_claim")),
            ("own key", member.get("key")),
            ("application", member.get("application")),
            ("person", member["person"]),
        ]
    )


def _balance(member: Mapping[str, Any]) -> list[tuple[str, RenderableType | None]]:
    balance = member.get("balance")
    if balance is None:
        return []
    owes = f"{balance['arrears']}, cycles in a row not covered: {balance['failed_cycles']}"
    return [
        ("balance", f"{balance['balance']} {member['currency']}, kept by the {balance['kept_by']}"),
        ("in arrears", owes if balance["arrears"] else None),
        ("leaves if unpaid", when(balance["removal_ms"]) if balance["removal_ms"] else None),
    ]


def _until(day: str | None) -> str:
    return f" until {day}" if day else ""


def block_sheet(block: Mapping[str, Any]) -> RenderableType:
    header, certificate = block["header"], block.get("certificate")
    signers = ", ".join(str(replica) for replica, _ in certificate["signatures"]) if certificate else ""
    parts: list[RenderableType] = [
        sheet(
            [
                ("block", Text(str(header["height"]), style="bold")),
                ("digest", block["digest"]),
                ("time", when(header["time_ms"])),
                ("parent", header["parent"]),
                ("state root", header["state_root"]),
                ("final in view", str(certificate["view"]) if certificate else "genesis needs no agreement"),
                ("signed by", f"replicas {signers}" if certificate else ""),
                ("transactions", str(len(block["transactions"]))),
            ]
        )
    ]
    rows = []
    for receipt in block["receipts"]:
        who = receipt.get("transaction") or "the clock"
        rows += [(who, receipt.get("result", ""), event_text(event)) for event in receipt.get("events", ())] or [
            (who, receipt.get("result", ""), receipt.get("detail", ""))
        ]
    if any(row[2] or row[0] != "the clock" for row in rows):
        parts += ["", table(("transaction", "result", "what happened"), rows)]
    return Group(*parts)


_DETAILS = (
    "finding",
    "reason",
    "late",
    "recused",
    "reviewer",
    "reopened_by",
    "objector",
    "earlier_claim",
    "missing",
    "vote",
    "votes",
    "until_ms",
    "cover_until",
    "count",
    "height",
)
"""Fields of events that are shown after the amount, in this order."""


def _detail(value: Any, field: str) -> str:
    if field.endswith("_ms"):
        return when(value)
    return ", ".join(value) if isinstance(value, list) else str(value)


def event_text(event: Mapping[str, Any]) -> str:
    """One line for an event of the chain: `claim-paid C-000001 by lantern, 300000.00 CNY`."""
    words = [str(event.get("what", ""))]
    for field in ("application", "claim", "member", "cycle"):
        if event.get(field):
            words.append(f"{field} {event[field]}" if field == "cycle" else str(event[field]))
    text = " ".join(words)
    details = [f"by {event['organisation']}" if event.get("organisation") else ""]
    details.append(money(event, "amount") if event.get("amount") else "")
    for field in _DETAILS:
        if event.get(field):
            details.append(f"{field.replace('_', ' ')} {_detail(event[field], field)}")
    return ", ".join([text, *filter(None, details)])


def print_sheet(sheet_of: RenderableType) -> Any:
    """For `Settings.result`."""

    def render(console: Console) -> None:
        console.print(sheet_of)

    return render
