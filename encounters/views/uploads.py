"""The upload API: JSON in, JSON out, each step bound to whoever began the upload."""

import json
import re
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from encounters import callers, uploads
from encounters.callers import Caller, LinkNeeded
from encounters.models import Encounter, Video
from encounters.offers import Offer
from transcoding.engine.store import StoredPart
from transcoding.errors import PortalError

FINGERPRINT = re.compile(r"[0-9a-f]{64}")
SENDER = re.compile(r"[0-9a-f]{0,32}")
LONGEST_NAME = 255
LONGEST_TYPE = 100
LARGEST = 2**63


class BadRequest(PortalError):
    code = "bad_request"
    message = _("This page sent something that we do not understand. Please reload it and try again.")
    status = 400


class NotAllowed(PortalError):
    code = "not_found"
    message = _("There is no such upload.")
    status = 404


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise BadRequest from error
    if not isinstance(body, dict):
        raise BadRequest
    return body


def _caller(request: HttpRequest, encounter: str | None = None) -> tuple[Caller, Encounter]:
    """Staff name the encounter; a patient's link has but one. Raises `LinkNeeded`, `NotAllowed`."""
    if encounter is None:
        caller = callers.patient(request)
        assert caller.invitation is not None  # noqa: S101 - patient() gives no caller without
        callers.stay(request, caller.invitation)
        return caller, caller.invitation.encounter
    mine = Encounter.objects.visible_to(request.user).filter(closed_at=None, withdrawn_at=None)
    found = mine.filter(reference=encounter).first()
    if found is None:
        raise NotAllowed
    return callers.staff(request), found


def _mine(request: HttpRequest, pk: UUID) -> tuple[Caller, Video]:
    """The upload, if it belongs to the encounter of this session's link or to one of this user's teams."""
    videos = Video.objects.select_related("encounter", "job")
    try:
        caller, encounter = _caller(request)
        mine = videos.filter(encounter=encounter)
    except LinkNeeded:
        if not request.user.is_authenticated:
            raise
        caller, mine = callers.staff(request), videos.visible_to(request.user)
    video = mine.filter(pk=pk).first()
    if video is None:
        raise NotAllowed
    return caller, video


def _listed(parts: list[StoredPart]) -> list[dict[str, object]]:
    return [{"number": part.number, "size": part.size, "sha256": part.sha256} for part in parts]


@login_not_required
@require_POST
def upload_new(request: HttpRequest) -> JsonResponse:
    """Announce a file: `{filename, size, type, last_modified, fingerprint}`.

    Staff add `encounter`, a reference. `continues` names the upload that the file must belong to. A
    browser that names itself as `sender` is told whether another one is sending the same video (`busy`),
    and takes its place with `take_over`.
    """
    body = _body(request)
    offer, sender = _offer(body), _sender(body)
    caller, encounter = _caller(request, _text(body, "encounter"))
    video, resumed = uploads.start(
        caller=caller, encounter=encounter, offer=offer, continues=_uuid(body, "continues")
    )
    is_free = uploads.take_turn(video=video, sender=sender, by_force=body.get("take_over") is True)
    answer = {
        "id": str(video.pk),
        "part_size": video.part_size,
        "parts": _listed(uploads.stored_parts(video)) if resumed else [],
        "resumed": resumed,
        "received": video.received_at is not None,
        "busy": not is_free and video.received_at is None,
    }
    return JsonResponse(answer, status=201)


def _text(body: dict[str, Any], name: str) -> str | None:
    text = body.get(name)
    if not isinstance(text, str | None):
        raise BadRequest
    return text


def _uuid(body: dict[str, Any], name: str) -> UUID | None:
    text = _text(body, name)
    try:
        return UUID(text) if text is not None else None
    except ValueError as error:
        raise BadRequest from error


def _sender(body: dict[str, Any]) -> str:
    sender = _text(body, "sender") or ""
    if not SENDER.fullmatch(sender):
        raise BadRequest
    return sender


def _offer(body: dict[str, Any]) -> Offer:
    name, size, kind = body.get("filename"), body.get("size"), body.get("type", "")
    fingerprint = body.get("fingerprint")
    if not (isinstance(name, str) and isinstance(kind, str) and isinstance(fingerprint, str)):
        raise BadRequest
    if type(size) is not int or not 0 <= size < LARGEST:
        raise BadRequest
    if not FINGERPRINT.fullmatch(fingerprint):
        raise BadRequest
    return Offer(
        filename=_readable(name)[:LONGEST_NAME],
        size=size,
        content_type=_readable(kind)[:LONGEST_TYPE],
        fingerprint=fingerprint,
    )


def _readable(name: str) -> str:
    """A name fit to be read and stored: no control characters, no direction overrides."""
    return "".join(letter for letter in name if letter.isprintable())


@login_not_required
@require_POST
def upload_parts(request: HttpRequest, pk: UUID) -> JsonResponse:
    """Sign parts: `{parts: [{number, sha256}, …], sender}`, the checksum in base64."""
    _, video = _mine(request, pk)
    body = _body(request)
    try:
        wanted = [(part["number"], part["sha256"]) for part in body["parts"]]
    except (KeyError, TypeError) as error:
        raise BadRequest from error
    if not all(type(number) is int and isinstance(checksum, str) for number, checksum in wanted):
        raise BadRequest
    signed = uploads.sign(video=video, wanted=wanted, sender=_sender(body))
    urls = [
        {"number": part.number, "url": part.url, "headers": part.headers, "expires_in": part.expires_in}
        for part in signed
    ]
    return JsonResponse({"urls": urls})


@login_not_required
@require_POST
def upload_complete(request: HttpRequest, pk: UUID) -> JsonResponse:
    caller, video = _mine(request, pk)
    video = uploads.complete(caller=caller, video=video)
    return JsonResponse({"video": {"id": str(video.pk), "state": video.state, "size": video.size}})


@login_not_required
@require_http_methods(["GET", "DELETE"])
def upload(request: HttpRequest, pk: UUID) -> JsonResponse:
    """GET: what the store has, and what became of the video. DELETE: stop, and have the store forget it."""
    caller, video = _mine(request, pk)
    if request.method == "DELETE":
        uploads.abort(caller=caller, video=video)
    answer = {
        "id": str(video.pk),
        "size": video.size,
        "part_size": video.part_size,
        "parts": [] if video.removed_at else _listed(uploads.stored_parts(video)),
        "received": video.received_at is not None,
        "state": video.state,
        "final": video.is_final,
        "message": video.explanation,
    }
    return JsonResponse(answer)
