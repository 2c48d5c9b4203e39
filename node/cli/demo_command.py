"""`weal demo`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import rich_click as click

from node.cli.base import BUG, OK, Settings, output_options, pass_settings


@click.command()
@click.option(
    "--fhir",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Your own HL7 FHIR R4 patients instead of the sample: Bundles or NDJSON, plain or gzip.",
)
@click.option("--nodes", "-n", type=click.IntRange(4, 10), default=4, show_default=True, help="How many organisations.")
@click.option("--keep", is_flag=True, help="Leave the cluster running and say where its API is.")
@click.option(
    "--directory",
    "-d",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the cluster lives; a temporary folder unless given, ./localnet with --keep.",
)
@output_options
@pass_settings
def demo(settings: Settings, fhir: Path | None, nodes: int, keep: bool, directory: Path | None) -> int:
    """See a claim's whole life in a minute: four organisations, real node processes, a killed primary, and a proof.

    \b
    Examples:
      weal demo
      weal demo --fhir synthea-r4.ndjson.gz
      weal demo --keep && weal claim list

    Patients become members. The chain's clock runs nine days a second: conditions become claims after the waiting
    period, are investigated, reviewed, published, settled and paid; half way the primary is killed. Each patient's
    record is moved in time as a whole, so that what happened in it falls into the months that are shown.

    Exits with 0 only if everything that is promised held.
    """  # fmt: skip
    import msgspec
    from rich.console import Console

    from node.cli.import_commands import totals_table
    from node.demo import outcome
    from node.demo.run import Options, tell
    from node.demo.screen import Screen
    from node.fhir.report import Totals

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if keep and directory is None:
        directory = Path("localnet")
    # With --json the result alone goes to standard output.
    console = Console(stderr=True, highlight=False) if settings.json else settings.out
    options = Options(fhir=fhir, nodes=nodes, keep=keep, directory=directory)
    with Screen(console, quiet=settings.quiet) as screen:
        report = tell(options, screen)

    def render(out: Any) -> None:
        out.print("\nWhat became of the input", style="bold")
        out.print(totals_table(msgspec.convert(report.imported, Totals)))
        outcome.show(out, report)
        if report.api:
            out.print(f"\nThe cluster in {report.directory} runs on, and so does its clock:", soft_wrap=True)
            for url in report.api:
                out.print(f"  {url}/v1/status", soft_wrap=True)
            out.print(f"Look at it with: weal claim list   Stop it with: weal localnet down -d {report.directory}")

    settings.result(report, render)
    return OK if report.held else BUG
