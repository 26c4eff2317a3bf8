"""Uploads: announced, signed part by part, completed, and only then a video.

The browser sends parts straight to the store. What the store has is the truth: we ask it, and never
a client, which parts there are. Calls to the store stay outside of transactions; the row of the
video, its job and the access record are written in one.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from encounters import gate, holds, notices, offers
from encounters.callers import Caller
from encounters.consents import ConsentMissing
from encounters.keys import CONTENT_TYPES, new_source_key
from encounters.models import Encounter, UploadPart, Verb, Video, VideoState
from encounters.offers import Offer, UploadRefused
from transcoding import jobs
from transcoding.engine import sniff
from transcoding.engine.contracts import FailureCode
from transcoding.engine.errors import BadInput
from transcoding.engine.store import (
    NoSuchUpload,
    PartsRefused,
    PresignedPart,
    StoredPart,
    StoreError,
    is_sha256,
)
from transcoding.errors import PortalError, StoreUnavailable
from transcoding.models import TranscodeJob
from transcoding.store import object_store

MOST_PARTS_SIGNED_AT_ONCE = 100
HEAD_BYTES = 4096
TURN = timedelta(minutes=3)
"""For so long after its last request a browser is taken to be still sending."""


class BadParts(PortalError):
    code = "bad_parts"
    message = _("This upload got out of step. Please choose the same video again to continue it.")
    status = 400


class PartsMissing(PortalError):
    """`missing`: numbers of the parts that the store does not have in full."""

    code = "parts_missing"
    message = _("A piece of the video has not arrived yet. It will be sent again.")
    status = 409


class UploadGone(PortalError):
    """`stopped`: somebody wanted that. Else the store forgot it, and announcing the file begins it anew."""

    code = "upload_gone"
    message = _("This upload was stopped. Please choose the video again to send it.")
    status = 410


class AnotherFile(PortalError):
    code = "another_file"
    message = _(
        "This is not the same video. Please choose the one that you began to send, "
        "or add this one as a new video."
    )
    status = 409


class SentElsewhere(PortalError):
    code = "sent_elsewhere"
    message = _("This video is being sent from another device just now. You can leave it to that one.")
    status = 409


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """An upload that waits for its file to be chosen again."""

    video: Video
    sent: float | None
    """Fraction that the store has; None if the store does not answer."""

    @property
    def percent(self) -> int | None:
        return None if self.sent is None else int(self.sent * 100)


def start(
    *, caller: Caller, encounter: Encounter, offer: Offer, continues: UUID | None = None
) -> tuple[Video, bool]:
    """Announce a file. Gives its video, and whether this continues what was begun or done before.

    `continues`: the upload that this file must belong to. Raises `AnotherFile` if it does not,
    `UploadRefused`, `ConsentMissing`, `StoreUnavailable`, and what `offers.check_limits` raises.
    """
    if caller.invitation and not encounter.consented:
        raise ConsentMissing
    known = _same_file(encounter, offer)
    if continues and (known is None or known.pk != continues):
        raise AnotherFile
    if known is None:
        offers.check_limits(caller, encounter, offer)
    video = known or _announce(caller, encounter, offer)
    if video.received_at is None:
        _make_ready(caller, video)
    return video, known is not None


def _make_ready(caller: Caller, video: Video) -> None:
    """See to it that the store waits for this video's parts, or that it is received.

    The store may have forgotten the upload, or have joined it just before our process died.
    """
    try:
        if video.upload_id:
            object_store().parts(video.source_key, video.upload_id)
            return
    except NoSuchUpload:
        if _is_whole(video):
            _receive(caller, video, _misfit(video))
            return
        _forget_upload(video)
    except StoreError as error:
        raise StoreUnavailable from error
    _begin_at_store(video)


def _forget_upload(video: Video) -> None:
    """The store no longer knows the upload: the next announcement begins it anew."""
    Video.objects.filter(pk=video.pk, upload_id=video.upload_id).update(upload_id="")
    video.refresh_from_db()


def _same_file(encounter: Encounter, offer: Offer) -> Video | None:
    """The upload of this very file, unfinished or done. One that could not be read may be sent anew.

    A phone that hands a video over again may date it anew. Size, first and last MiB then suffice: no
    part is taken for sent before its checksum agrees.
    """
    same = encounter.videos.kept().filter(size=offer.size, fingerprint__startswith=offer.content)
    candidates = same.select_related("job").order_by("-created_at")
    retryable = {VideoState.FAILED, VideoState.CANCELLED}
    alive = [video for video in candidates if video.state not in retryable]
    exactly = (video for video in alive if video.fingerprint == offer.fingerprint)
    return next(exactly, None) or next(iter(alive), None)


def _announce(caller: Caller, encounter: Encounter, offer: Offer) -> Video:
    """The row of a new upload; of two that are announced at once, the one that was first."""
    if refusal := offers.refusal(offer):
        raise _filed(caller, encounter, offer, refusal)
    try:
        with transaction.atomic():
            video = _row(encounter, offer, new_source_key(encounter.reference, offer.extension or ""))
            caller.record(Verb.UPLOAD_STARTED, encounter=encounter, video=video)
    except IntegrityError:
        first = _same_file(encounter, offer)
        if first is None:
            raise
        return first
    return video


def _row(encounter: Encounter, offer: Offer, source_key: str, **received: Any) -> Video:
    gate.still_open(encounter)
    return Video.objects.create(
        encounter=encounter,
        original_name=offer.filename,
        announced_type=offer.content_type,
        size=offer.size,
        fingerprint=offer.fingerprint,
        source_key=source_key,
        part_size=offers.part_size_for(offer.size),
        **received,
    )


@transaction.atomic
def _filed(caller: Caller, encounter: Encounter, offer: Offer, refusal: UploadRefused) -> UploadRefused:
    """File what is refused, so that clinician and admin know that the patient tried."""
    key = new_source_key(encounter.reference, "mov")
    job = jobs.refuse(source_key=key, code=FailureCode(refusal.code))
    video = _row(encounter, offer, key, received_at=timezone.now(), job=job)
    caller.record(Verb.UPLOAD_REFUSED, encounter=encounter, video=video, reason=refusal.code)
    return refusal


def _begin_at_store(video: Video) -> None:
    extension = video.source_key.rpartition(".")[2]
    try:
        upload_id = object_store().start_upload(video.source_key, CONTENT_TYPES[extension])
    except StoreError as error:
        raise StoreUnavailable from error
    if not Video.objects.unfinished().filter(pk=video.pk, upload_id="").update(upload_id=upload_id):
        object_store().abort(video.source_key, upload_id)
    video.refresh_from_db()


def take_turn(*, video: Video, sender: str, by_force: bool = False) -> bool:
    """Let this browser send, unless another one is at it; say whether it may.

    `by_force`: the person said so. A caller that names no `sender` is never in the way.
    """
    this = Video.objects.filter(pk=video.pk)
    now = timezone.now()
    if not sender:
        this.update(active_at=now)
        return True
    free = Q(sender__in=["", sender]) | Q(active_at__lt=now - TURN)
    return bool((this if by_force else this.filter(free)).update(sender=sender, active_at=now))


def unfinished(encounter: Encounter) -> list[Unfinished]:
    """What this patient began to send, oldest first, as far as the store has it."""
    waiting = encounter.videos.unfinished().exclude(upload_id="").order_by("created_at")
    return [Unfinished(video=video, sent=_sent(video)) for video in waiting]


def _sent(video: Video) -> float | None:
    try:
        parts = stored_parts(video)
        if not parts and _is_whole(video):
            return 1.0
    except UploadGone:
        return 0.0
    except (StoreUnavailable, StoreError):
        return None
    return min(1.0, sum(part.size for part in parts) / video.size)


def stored_parts(video: Video) -> list[StoredPart]:
    """What the store has of an unfinished upload; nothing once it has joined the parts.

    Raises `UploadGone` if the store forgot the upload; announcing the file again begins it anew.
    """
    if video.received_at:
        return []
    _still_wanted(video)
    try:
        return _parts(video)
    except NoSuchUpload as error:
        if _is_whole(video):  # joined in this very moment, or just before our process died
            return []
        _forget_upload(video)
        raise UploadGone(stopped=False) from error
    except StoreError as error:
        raise StoreUnavailable from error


def _parts(video: Video) -> list[StoredPart]:
    """The store's list, with the checksums that the parts were signed with where it names none."""
    signed = dict(video.parts.values_list("number", "sha256"))
    stored = object_store().parts(video.source_key, video.upload_id)
    return [replace(part, sha256=part.sha256 or signed.get(part.number, "")) for part in stored]


def sign(*, video: Video, wanted: Sequence[tuple[int, str]], sender: str = "") -> list[PresignedPart]:
    """Permission to send these parts: `(number, SHA-256 as base64)`, just before they are sent.

    Raises `BadParts`, `UploadGone`, `SentElsewhere`.
    """
    if video.received_at:
        raise BadParts
    _still_wanted(video)
    numbers = {number for number, _ in wanted}
    in_range = all(1 <= number <= video.part_count for number in numbers)
    if not (in_range and 0 < len(wanted) <= MOST_PARTS_SIGNED_AT_ONCE and len(numbers) == len(wanted)):
        raise BadParts
    if not all(is_sha256(checksum) for _, checksum in wanted):
        raise BadParts
    with transaction.atomic():
        if not take_turn(video=video, sender=sender):
            raise SentElsewhere
        UploadPart.objects.bulk_create(
            [UploadPart(video=video, number=number, sha256=checksum) for number, checksum in wanted],
            update_conflicts=True,
            unique_fields=["video", "number"],
            update_fields=["sha256"],
        )
    return [
        object_store().permit_part(
            video.source_key,
            video.upload_id,
            number,
            sha256=checksum,
            size=video.size_of_part(number),
            expires_in=settings.UPLOAD_URL_SECONDS,
        )
        for number, checksum in wanted
    ]


def _still_wanted(video: Video) -> None:
    if video.removed_at or not video.upload_id:
        raise UploadGone(stopped=video.removed_at is not None)


def complete(*, caller: Caller, video: Video) -> Video:
    """Join the parts, check the object, and queue its conversion. Twice gives the same answer.

    Raises `PartsMissing`, `UploadGone`, `StoreUnavailable`.
    """
    if video.received_at:
        return video
    _still_wanted(video)
    try:
        _join(video)
        if not _is_whole(video):
            raise PartsMissing(missing=[])
        misfit = _misfit(video)
    except StoreError as error:
        raise StoreUnavailable from error
    return _receive(caller, video, misfit)


def _misfit(video: Video) -> FailureCode | None:
    """Why the stored object is not worth converting, by its first bytes. None: it begins like a video."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(object_store().head(video.source_key, HEAD_BYTES))
        file.flush()
        try:
            sniff.demuxer(Path(file.name))
        except BadInput as refusal:
            return refusal.code
    return None


def _join(video: Video) -> None:
    """Have the store make the object from its parts.

    It may have joined them before, just before our process died: then the upload is gone and the
    object is there.
    """
    try:
        parts = _parts(video)
        missing = _missing(video, parts)
        if missing and _is_whole(video):  # somebody else has joined them: their list is being cleared away
            return
        if missing:
            raise PartsMissing(missing=missing)
        object_store().join(video.source_key, video.upload_id, parts)
    except NoSuchUpload as error:
        if _is_whole(video):
            return
        _forget_upload(video)
        raise UploadGone(stopped=False) from error
    except PartsRefused as error:
        if _is_whole(video):  # somebody else joined them in this very moment
            return
        # A part was signed anew for bytes that never came. Which one, nobody says: none is known now.
        video.parts.all().delete()
        raise PartsMissing(missing=[]) from error


def _missing(video: Video, parts: Sequence[StoredPart]) -> list[int]:
    """Numbers of the parts that are not there in their full size."""
    sizes = {part.number: part.size for part in parts}
    numbers = range(1, video.part_count + 1)
    return [number for number in numbers if sizes.get(number) != video.size_of_part(number)]


def _is_whole(video: Video) -> bool:
    return object_store().size(video.source_key) == video.size


def _receive(caller: Caller, video: Video, misfit: FailureCode | None) -> Video:
    """The moment at which an upload becomes a video: once, with its job, or not at all."""
    with transaction.atomic():
        open_uploads = Video.objects.unfinished().select_for_update(no_key=True).filter(pk=video.pk)
        if open_uploads.exists():
            job = _job(video, misfit)
            # First, since to note the job locks the row for those who write records that name the video.
            caller.record(Verb.UPLOAD_COMPLETED, encounter=video.encounter, video=video)
            open_uploads.update(received_at=timezone.now(), job=job)
            if misfit:
                notices.on_job_finished(job)
    video.refresh_from_db()
    if video.removed_at:
        if not holds.is_held(video.encounter):
            object_store().delete(video.source_key)
        raise UploadGone(stopped=True)
    return video


def _job(video: Video, misfit: FailureCode | None) -> TranscodeJob:
    if misfit:
        return jobs.refuse(source_key=video.source_key, code=misfit, is_stored=True)
    return jobs.enqueue(source_key=video.source_key)


def abort(*, caller: Caller, video: Video, verb: Verb = Verb.UPLOAD_ABORTED) -> None:
    """Stop an unfinished upload and have the store forget it. A received video stays."""
    with transaction.atomic():
        open_upload = Video.objects.unfinished().filter(pk=video.pk)
        if open_upload.update(removed_at=timezone.now()):
            caller.record(verb, encounter=video.encounter, video=video)
    video.refresh_from_db()
    if video.removed_at and video.upload_id:
        try:
            object_store().abort(video.source_key, video.upload_id)
        except StoreError as error:
            raise StoreUnavailable from error
