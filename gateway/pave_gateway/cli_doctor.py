"""`pave-gateway doctor`: whether all that a gateway stands on is as it should be."""

import asyncio
import logging

import typer

from pave_gateway.cli_common import REFUSED, AsJson, Site, client_of, read_site, show_json
from pave_gateway.cli_status import show_findings
from pave_gateway.findings import Severity


def doctor(site: Site, as_json: AsJson = False) -> None:
    """Look at site file, keys, journal, disk, clock, ports and network server, whether the gateway runs or not.

    Exit status 1 where something does not work.
    """
    from pave_gateway import doctor as checks  # here: it takes a second, which other commands need not wait

    logging.getLogger("mqtt").setLevel(logging.CRITICAL)  # paho logs each broken connection; a finding says it
    config = read_site(site)
    found = asyncio.run(checks.examine(config, client_of(config)))
    lines = [{"severity": one.severity.value, "what": one.what, "next_step": one.next_step} for one in found]
    if as_json:
        show_json(lines)
    else:
        show_findings(lines)
    if checks.worst(found) is Severity.ERROR:
        raise typer.Exit(REFUSED)
