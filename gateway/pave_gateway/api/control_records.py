"""Provisioning records over the control interface: imported and kept, and sealed for another gateway."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from pave_gateway.api.acts import Acts
from pave_gateway.api.control_devices import actor
from pave_gateway.api.control_models import Reader, RecordFiles, RecordResult, RecordResults
from pave_gateway.api.problems import problem
from pave_gateway.assembly.core import Core
from pave_gateway.core.keys_record import RecordError
from pave_gateway.core.keys_sealed import KeyringError
from pave_gateway.core.registry_change import Done
from pave_gateway.core.registry_import import Import, Judged, Verdict
from pave_gateway.provisioning import ImportResult, Opened, open_records, public_key_in, reader_id
from pave_gateway.provisioning_export import sealed_records
from pave_gateway.records_folder import keep
from pave_gateway.store import registry_tables

_KEPT = (Verdict.ADDED.value, Verdict.REPLACED.value, Verdict.KNOWN.value)


def router(core: Core, acts: Acts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["records"])
    folder = core.config.registry.records_path(core.config.journal.path)

    @routes.post("/records", summary="Import provisioning records, and keep them in the site's folder")
    async def import_(files: RecordFiles, request: Request) -> RecordResults:  # pyright: ignore[reportUnusedFunction]
        contents = {file.name: file.content.encode() for file in files.records}
        sources = iter(contents.items())
        technicians = core.config.registry.technicians()
        opened = await asyncio.to_thread(open_records, sources, core.key_file, technicians)
        results = opened.results(await _judged(core, acts, opened, actor(request)))
        results = await asyncio.to_thread(_keep, folder, opened, contents, results)
        return RecordResults(results=[RecordResult(**result.as_json()) for result in results])

    @routes.post("/records/sealed", summary="All devices' keys as records for another gateway, one JSON object a line")
    async def export(reader: Reader, request: Request) -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
        """Each line is `{"name": ..., "content": ...}`; the last is `{"records": how many}`, or else problem details.

        It is in the audit trail before the first line is given.
        """
        try:
            public = public_key_in(reader.public_file.encode(), core.config.site.id)
        except RecordError as error:
            raise problem(422, str(error)) from error

        def act(done: Done) -> None:
            change = core.registrar.change(acts.by(actor(request)))
            change.act("export records", detail=f"sealed for {reader_id(public)}")
            core.registrar.submit(change, done)

        await acts.do(act)
        sealed = core.reader.read(registry_tables.load).sealed
        return StreamingResponse(_lines(core, sealed, public), media_type="application/x-ndjson")

    return routes


async def _judged(core: Core, acts: Acts, opened: Opened, by: str) -> list[Judged]:
    done: asyncio.Future[list[Judged]] = asyncio.get_running_loop().create_future()
    records = [record for _, record in opened.records]
    await acts.turn()
    Import(core.registrar, records, core.config.registry.technicians(), acts.by(by)).start(done.set_result)
    return await acts.wait(done)


def _keep(folder: Path, opened: Opened, contents: dict[str, bytes], results: list[ImportResult]) -> list[ImportResult]:
    """Keep the records that are in use in the folder; return `results` with what could not be kept said."""
    records = dict(opened.records)
    told: list[ImportResult] = []
    for result in results:
        detail = result.detail
        if result.result in _KEPT:
            try:
                keep(folder, records[result.source].device, records[result.source].epoch, contents[result.source])
            except OSError as error:
                detail = f"imported, and not kept in {folder}: {error.strerror}; copy it there by hand"
        told.append(ImportResult(result.source, result.device, result.result, detail))
    return told


def _lines(core: Core, sealed: Sequence[tuple[str, bytes]], public: X25519PublicKey) -> Iterator[str]:
    count = 0
    try:
        for name, content in sealed_records(sealed, core.registrar.keyring, [public]):
            count += 1
            yield json.dumps({"name": name, "content": content.decode()}) + "\n"
    except KeyringError as error:
        yield problem(500, str(error)).details.model_dump_json() + "\n"
    else:
        yield json.dumps({"records": count}) + "\n"
