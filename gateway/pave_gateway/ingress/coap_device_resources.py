"""What the gateway offers its devices over CoAP, beside `/r`: which handler answers which path.

    GET  /a       how many bays are free, per kind; with ?nearest where the nearest are from there too (Observe)
    POST /h       hello
    GET  /s       desired settings (Observe)        PUT /s  reported settings
    POST /x       the result of a command

What the last three say is in `core.shadow_resources`. They are for a device, so without OSCORE they are refused.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from pave_gateway.core import limits
from pave_gateway.core.bays import Bays
from pave_gateway.core.instant import Now
from pave_gateway.core.nearest import Nearest
from pave_gateway.core.places import Place
from pave_gateway.core.shadow_resources import Reply, Resources
from pave_gateway.ingress.coap_changes import Commit, Handler, Question
from pave_gateway.ingress.coap_resources import Handled, Site, Watched, problem
from pave_wire import coap, model
from pave_wire.hello import Hello

_NOT_ACCEPTABLE = 0x86  # 4.06


def add_availability(
    site: Site, bays: Bays, commit: Commit, place_of: Callable[[str], Place | None] = lambda device: None
) -> None:
    """Serve `GET /a`.

    `place_of(device)` returns where a device stands: the nearest free bays are those as seen from there. Who does not
    ask for them, as older firmware, hears the counts alone.
    """
    told = bays.availability()
    nearest = Nearest(bays)

    def answer(question: Question) -> Reply:
        if question.code != coap.GET:
            return Reply(coap.NOT_ALLOWED)
        if question.accept not in (None, model.CONTENT_FORMAT_SENML_CBOR):
            return problem(_NOT_ACCEPTABLE, "Not acceptable", f"only {model.CONTENT_FORMAT_SENML_CBOR} is offered")
        asks = question.device if model.QUERY_NEAREST in question.queries else None
        place = None if asks is None else place_of(asks)
        payload = model.pack_availability(bays.availability(), nearest.free_from(place) if place else None)
        return Reply(coap.CONTENT, payload, model.CONTENT_FORMAT_SENML_CBOR)

    def look(_bay: object) -> None:
        nonlocal told
        now = bays.availability()
        if now != told:  # a bay may change in a way that is of no interest here
            told = now
            served.changed()

    served = Watched(answer, "urn:pave:availability", model.CONTENT_FORMAT_SENML_CBOR, commit)
    served.max_age_s = limits.FRESH_S
    bays.subscribe(look)
    site.add(model.PATH_AVAILABILITY, served)


def add_shadow(
    site: Site, resources: Resources, now: Callable[[], Now], commit: Commit, said: Callable[[str, Hello], None]
) -> Watched:
    """Serve `/h`, `/s` and `/x`; return `/s`, whose `changed_for(device)` is to be told of new desired settings.

    `said(device, hello)` is told of each hello that can be read, once it is on disk and before it is answered.
    """

    def hello(device: str, question: Question) -> Reply:
        reply, heard = resources.hello(device, question.payload, now())
        return reply if heard is None else replace(reply, apply=partial(said, device, heard))

    def settings(device: str, question: Question) -> Reply:
        if question.code == coap.GET:
            return resources.desired(device, question.etags, secure=True)
        return resources.reported(device, question.payload, now())

    def result(device: str, question: Question) -> Reply:
        return resources.result(device, question.payload, now())

    cbor = model.CONTENT_FORMAT_CBOR
    site.add(model.PATH_HELLO, Handled(_of_device(hello, coap.POST), "urn:pave:hello", cbor, commit))
    site.add(model.PATH_COMMAND, Handled(_of_device(result, coap.POST), "urn:pave:command", cbor, commit))
    served = Watched(_of_device(settings, coap.GET, coap.PUT), "urn:pave:shadow", cbor, commit)
    served.max_age_s = limits.FRESH_S
    site.add(model.PATH_SHADOW, served)
    return served


def _of_device(answer: Callable[[str, Question], Reply], *codes: int) -> Handler:
    """Return `answer` as a handler for requests with these codes, for devices alone."""

    def handler(question: Question) -> Reply:
        if question.code not in codes:
            return Reply(coap.NOT_ALLOWED)
        if question.device is None:
            return problem(coap.UNAUTHORIZED, "Who are you", "this is for one device; ask under OSCORE")
        return answer(question.device, question)

    return handler
