"""`weal init`, `weal genesis` and `weal keys`: what has to exist before a node can run."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from node.cli.base import BAD_CONFIG, USAGE, CommandError, Settings, output_options, pass_settings
from node.cli.connect import passphrase_source

if TYPE_CHECKING:
    from node.crypto import SigningKey

_PLAIN = click.option("--plain", is_flag=True, help="No passphrase. For clusters on one machine only.")
_PASSPHRASE = click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="Its first line; else you are asked."
)
_ROLES = ("enroller", "intake", "investigator", "reviewer", "payment", "auditor")


def _new_passphrase(file: Path | None, plain: bool) -> bytes | None:
    import sys

    from node.keyfile import passphrase_from_file, prompt_passphrase

    if plain:
        if file is not None:
            raise CommandError("--plain and --passphrase-file exclude each other", code=USAGE)
        return None
    if file is not None:
        return passphrase_from_file(file)()
    if not sys.stdin.isatty():
        raise CommandError("a passphrase is needed and nobody can be asked", hint="Give --passphrase-file.", code=9)
    return prompt_passphrase("New passphrase: ", confirm=True)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", required=True, metavar="ORG", help="The organisation, such as harbour.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(_ROLES),
    help="What it may do; several. Default: all but auditor.",
)
@click.option("--port", type=click.IntRange(1, 65_535), default=8800, show_default=True, help="For peers and clients.")
@click.option("--operator-port", type=click.IntRange(1, 65_535), default=8810, show_default=True, help="On loopback.")
@_PASSPHRASE
@_PLAIN
@output_options
@pass_settings
def init(
    settings: Settings,
    directory: Path,
    name: str,
    roles: tuple[str, ...],
    port: int,
    operator_port: int,
    passphrase_file: Path | None,
    plain: bool,
) -> None:
    """Make the folder of a node: two keys, a configuration with every key explained, and an entry for the genesis.

    \b
    Examples:
      weal init harbour --name harbour
      weal init harbour --name harbour --role investigator --role reviewer --port 8801

    Give organisation.toml to whoever assembles the genesis; the keys never leave this folder.
    """
    from node.config import Config, ListenSection, NodeSection, OperatorSection, commented_toml
    from node.crypto import SigningKey
    from node.keyfile import mark_unused, write_key

    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", name):
        raise CommandError(f"{name!r}: a name has lower-case letters, digits and hyphens, 32 at most", code=USAGE)
    if (directory / "node.toml").exists():
        raise CommandError(f"{directory} holds a node already", hint="Choose another folder.", code=BAD_CONFIG)
    secret = _new_passphrase(passphrase_file, plain)
    directory.mkdir(parents=True, exist_ok=True)
    keys: dict[str, SigningKey] = {}
    for part in ("node", "account"):
        keys[part] = SigningKey.generate()
        write_key(directory / f"{part}.key", keys[part], secret)
    mark_unused(directory / "node.key", keys["node"])
    config = Config(
        node=NodeSection(
            allow_plain_key=plain, passphrase_file=str(passphrase_file.absolute()) if passphrase_file else ""
        ),
        listen=ListenSection(port=port),
        operator=OperatorSection(port=operator_port),
    )
    (directory / "node.toml").write_text(commented_toml(config), encoding="utf-8")
    wanted = roles or tuple(role for role in _ROLES if role != "auditor")
    quoted = ", ".join(f'"{role}"' for role in wanted)
    entry = (
        "[[organisations]]\n"
        f'name = "{name}"\n'
        f'node_key = "{keys["node"].public.hex()}"\n'
        f'account_keys = ["{keys["account"].public.hex()}"]\n'
        f"roles = [{quoted}]\n"
    )
    (directory / "organisation.toml").write_text(entry, encoding="utf-8")
    settings.result(
        {
            "directory": str(directory),
            "name": name,
            "node_key": keys["node"].public.hex(),
            "account_key": keys["account"].public.hex(),
            "roles": wanted,
        },
        f"made {directory}/: node.key, account.key, node.toml, organisation.toml\n"
        f"next: send organisation.toml to whoever assembles the genesis, put the genesis.json you get into\n"
        f"{directory}/, compare its digest with the others', fill in [peers] of node.toml, then:\n"
        f"  weal node start {directory}",
    )


# --- genesis


@click.group()
def genesis() -> None:
    """Assemble, show and check the file that a chain begins with.

    \b
    Examples:
      weal genesis assemble */organisation.toml --chain mutual-1 --plan critical-illness.toml -o genesis.json
      weal genesis show genesis.json
      weal genesis check genesis.json --digest 4be1…
    """


@genesis.command()
@click.argument("organisations", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--chain", required=True, help="Name of the chain.")
@click.option(
    "--plan",
    "plans",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A plan's TOML file; several. Default: the shipped critical-illness and hospital plans.",
)
@click.option("--time", "moment", metavar="TIME", help="Time of genesis in ISO 8601, UTC; default: now.")
@click.option(
    "--time-scale",
    type=click.IntRange(1, 10_000_000),
    default=1,
    show_default=True,
    help="Chain seconds per real second. Above 1 for demonstrations only.",
)
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="File to write.")
@output_options
@pass_settings
def assemble(
    settings: Settings,
    organisations: tuple[Path, ...],
    chain: str,
    plans: tuple[Path, ...],
    moment: str | None,
    time_scale: int,
    output: Path,
) -> None:
    """Make a genesis file of the organisations' entries and the plans.

    \b
    Examples:
      weal genesis assemble */organisation.toml --chain mutual-1 -o genesis.json

    Everybody must get the very same file: compare digests on another channel than the one it came by.
    """  # fmt: skip
    from node.claims.plain import BadValue
    from node.genesis import build_genesis, dump_genesis, load_organisations
    from node.keyfile import read_public
    from node.localnet.layout import PLANS
    from node.resources import config_file

    if output.exists():
        raise CommandError(f"{output} exists; a genesis file is never overwritten", code=BAD_CONFIG)
    found = [entry for path in organisations for entry in load_organisations(path, read_public)]
    try:
        made = build_genesis(
            chain=chain,
            time_ms=_moment(moment),
            time_scale=time_scale,
            organisations=found,
            plans=list(plans) or [config_file(name) for name in PLANS],
        )
    except BadValue as error:
        raise CommandError(str(error), code=BAD_CONFIG) from None
    output.write_text(dump_genesis(made), encoding="utf-8")
    _show_genesis(settings, made, output)


def _moment(text: str | None) -> int:
    from node.fhir.resources import parse_time

    if text is None:
        return time.time_ns() // 1_000_000
    found = parse_time(text)
    if found is None:
        raise CommandError(f"{text!r} is no time", hint="Write it like 2026-11-23T12:00:00Z.", code=USAGE)
    return found


@genesis.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@output_options
@pass_settings
def show(settings: Settings, file: Path) -> None:
    """Show a genesis file: its digest, who takes part in which role, and the plans.

    \b
    Examples:
      weal genesis show genesis.json
      weal genesis show genesis.json --json
    """
    from node.genesis import load_genesis

    _show_genesis(settings, load_genesis(file), file)


@genesis.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--digest", help="The digest it must have.")
@output_options
@pass_settings
def check(settings: Settings, file: Path, digest: str | None) -> None:
    """Check a genesis file: its form, its sense, and its digest.

    \b
    Examples:
      weal genesis check genesis.json --digest 4be1…

    Exits with 8 if it is wrong, and with 3 if it has another digest.
    """
    from node.genesis import load_genesis

    found = load_genesis(file).digest.hex()
    if digest is not None and digest.strip().lower() != found:
        raise CommandError(
            f"{file} has digest {found}, not {digest}", hint="This is another chain: do not use it.", code=3
        )
    settings.result({"valid": True, "digest": found}, f"valid; digest {found}")


def _show_genesis(settings: Settings, made: Any, path: Path) -> None:
    from node.cli.show import sheet, table, when
    from node.genesis import member_set

    members = member_set(made)
    document = {
        "file": str(path),
        "chain": made.chain,
        "digest": made.digest.hex(),
        "time_ms": made.time_ms,
        "time_scale": made.time_scale,
        "nodes": len(members.members),
        "organisations": [
            {
                "name": organisation.name,
                "roles": [role.value for role in organisation.roles],
                "node_key": organisation.node_key.hex(),
                "account_keys": [key.hex() for key in organisation.account_keys],
            }
            for organisation in made.organisations
        ],
        "plans": [{"code": plan.code, "version": plan.version, "name": plan.name} for plan in made.plans],
    }

    def render(console: Any) -> None:
        plans = ", ".join(f"{plan.name} ({plan.code}, version {plan.version})" for plan in made.plans)
        scale = f", {made.time_scale} chain seconds per second" if made.time_scale != 1 else ""
        faults = (len(members.members) - 1) // 3
        console.print(
            sheet(
                [
                    ("chain", made.chain),
                    ("digest", made.digest.hex()),
                    ("begins", when(made.time_ms) + scale),
                    ("nodes", f"{len(members.members)}, of which {faults} may fail or lie"),
                    ("plans", plans or "none"),
                ]
            )
        )
        rows = [(o.name, ", ".join(role.value for role in o.roles), o.node_key.hex()[:16]) for o in made.organisations]
        console.print(table(("organisation", "roles", "node key"), rows))

    settings.result(document, render)


# --- keys


@click.group()
def keys() -> None:
    """Make and show key files, change their passphrase.

    \b
    Examples:
      weal keys new desk.key
      weal keys show desk.key
      weal keys change-passphrase desk.key
    """


@keys.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_PASSPHRASE
@_PLAIN
@output_options
@pass_settings
def new(settings: Settings, file: Path, passphrase_file: Path | None, plain: bool) -> None:
    """Make a new Ed25519 key, sealed with a passphrase, in a file that only you can read.

    \b
    Examples:
      weal keys new desk.key
      weal keys new desk.key --passphrase-file /run/secrets/desk
    """
    from node.crypto import SigningKey
    from node.keyfile import write_key

    key = SigningKey.generate()
    write_key(file, key, _new_passphrase(passphrase_file, plain))
    settings.result({"file": str(file), "public_key": key.public.hex()}, f"{file}\npublic key {key.public.hex()}")


@keys.command("show")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@output_options
@pass_settings
def show_key(settings: Settings, file: Path) -> None:
    """Show the public half of a key file; no passphrase is needed.

    \b
    Examples:
      weal keys show desk.key --json
    """
    from node.keyfile import is_sealed, read_public

    public, sealed = read_public(file).hex(), is_sealed(file)
    state = "sealed with a passphrase" if sealed else "NOT sealed: whoever reads the file has the key"
    settings.result(
        {"file": str(file), "public_key": public, "sealed": sealed}, f"{file}\npublic key {public}\n{state}"
    )


@keys.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="The old passphrase.")
@click.option("--new-passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="The new one.")
@output_options
@pass_settings
def change_passphrase(
    settings: Settings, file: Path, passphrase_file: Path | None, new_passphrase_file: Path | None
) -> None:
    """Seal a key file with another passphrase. The key itself stays the same.

    \b
    Examples:
      weal keys change-passphrase desk.key
    """
    from node.keyfile import read_key, write_key

    key = read_key(file, passphrase_source(passphrase_file, file))
    write_key(file, key, _new_passphrase(new_passphrase_file, plain=False), overwrite=True)
    settings.result({"file": str(file), "public_key": key.public.hex()}, f"{file} has a new passphrase")
