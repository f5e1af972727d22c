"""`pave-gateway records`: provisioning records in, and out again for another gateway."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from pave_gateway.cli_client import Client, NotRunningError, RefusedError, told
from pave_gateway.cli_common import (
    NOT_RUNNING,
    REFUSED,
    AsJson,
    Site,
    ask,
    client_of,
    group,
    not_running,
    read_site,
    refuse,
    show_json,
    show_table,
)
from pave_gateway.config import Config
from pave_gateway.core import limits
from pave_gateway.core.keys_record import RecordError
from pave_gateway.provisioning import ImportResult, open_record, read_files
from pave_gateway.records_folder import keep
from pave_gateway.store.key_file import KeyFile, KeyFileError, load_key_file

app = group("Provisioning records: what a technician's tool makes of each device.")

_GOOD = ("added", "replaced", "known", "older", "kept")


@app.command("import")
def import_(
    site: Site,
    paths: Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Records, or folders of them.")],
    as_json: AsJson = False,
) -> None:
    """Import records and keep them in the site's folder; of a folder, every *.pave in it.

    Where the gateway does not run, records that open are kept, and it takes them when it starts.
    """
    config = read_site(site)
    missing = ""
    try:
        results = _import_running(client_of(config), paths)
    except NotRunningError as error:
        missing = not_running(site, config, error)
        results = _keep_for_start(config, paths)
    except RefusedError as error:
        refuse(str(error), REFUSED)
    if as_json:
        show_json(results)
    else:
        columns = ("source", "device", "result", "detail")
        show_table(columns, ([result[column] for column in columns] for result in results))
    if missing:
        refuse(f"kept, and not imported yet: {missing}", NOT_RUNNING)
    if not all(result["result"] in _GOOD for result in results):
        raise typer.Exit(REFUSED)


@app.command()
def export(
    site: Site,
    folder: Annotated[Path, typer.Argument(help="Where to; made if it is not there.")],
    reader: Annotated[Path, typer.Option("--for", help="gateway.json of the gateway that shall import them.")],
    as_json: AsJson = False,
) -> None:
    """Write every device's keys as records that only the gateway of a public file can open."""
    try:
        public_file = reader.read_text(encoding="utf-8")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, UnicodeDecodeError) as error:
        refuse(f"{error}; name the other gateway's gateway.json, and a folder that you may write", REFUSED)
    count = ask(site, lambda client: _write_sealed(client, public_file, folder))
    if as_json:
        show_json({"records": count, "folder": str(folder)})
    else:
        print(f"{count} records in {folder}, sealed for {reader}")


def _import_running(client: Client, paths: list[Path]) -> list[dict[str, Any]]:
    """Give the gateway what can be read; return what came of everything."""
    results: list[dict[str, Any]] = []
    batch: list[dict[str, str]] = []

    def give() -> None:
        if batch:
            results.extend(client.post("records", body={"records": batch})["results"])
            batch.clear()

    client.get("acts", limit=1)  # whether it runs, before anything is read
    for name, raw in read_files(paths):
        if isinstance(raw, str):
            results.append(ImportResult(name, "", "refused", raw).as_json())
            continue
        batch.append({"name": name, "content": raw[: limits.RECORD_BYTES].decode("utf-8", "replace")})
        if len(batch) == limits.RECORDS_PER_CHANGE:
            give()
    give()
    return sorted(results, key=lambda result: result["source"])


def _keep_for_start(config: Config, paths: list[Path]) -> list[dict[str, Any]]:
    """Put what opens into the site's folder."""
    journal = config.journal.path
    try:
        key_file = load_key_file(config.registry.key_path(journal))
    except FileNotFoundError as error:
        refuse(f"key file {error.filename}: there is none yet; start the gateway once, it makes one", NOT_RUNNING)
    except KeyFileError as error:
        refuse(str(error), REFUSED)
    return [_kept(config, key_file, name, raw).as_json() for name, raw in read_files(paths)]


def _kept(config: Config, key_file: KeyFile, name: str, raw: bytes | str) -> ImportResult:
    try:
        if isinstance(raw, str):
            raise RecordError(raw)
        record = open_record(raw, key_file, config.registry.technicians())
        path = keep(config.registry.records_path(config.journal.path), record.device, record.epoch, raw)
    except RecordError as error:
        return ImportResult(name, "", "refused", str(error))
    except OSError as error:
        return ImportResult(name, "", "refused", f"not kept: {error}; check the folder's owner and the disk")
    return ImportResult(name, record.device, "kept", str(path))


def _write_sealed(client: Client, public_file: str, folder: Path) -> int:
    """Write what the gateway seals; return how many records; raise RefusedError where it is not all."""
    count = 0
    for line in client.lines("records", "sealed", body={"public_file": public_file}):
        if "records" in line:
            return int(line["records"])
        if "name" not in line:
            raise RefusedError(f"after {count} records: {told(line)}")
        try:
            (folder / os.path.basename(line["name"])).write_text(line["content"], encoding="utf-8")  # noqa: PTH119
        except OSError as error:
            raise RefusedError(f"after {count} records: {error}; check the folder and its disk") from error
        count += 1
    raise RefusedError(f"the answer ended after {count} records; export them again")
