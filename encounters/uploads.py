"""Uploads: announced, signed part by part, completed, and only then a video.

The browser sends parts straight to the store. What the store has is the truth: we ask it, and never
a client, which parts there are. Calls to the store stay outside of transactions; the row of the
video, its job and the access record are written in one.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from encounters.callers import PORTAL, Caller
from encounters.keys import CONTENT_TYPES, extension_of, new_source_key
from encounters.models import Encounter, UploadPart, Verb, Video, VideoState
from transcoding import jobs
from transcoding.engine.contracts import FailureCode
from transcoding.engine.store import (
    NoSuchUpload,
    PartsRefused,
    PresignedPart,
    StoredPart,
    StoreError,
    is_sha256,
)
from transcoding.errors import PortalError, StoreUnavailable
from transcoding.store import object_store

logger = logging.getLogger(__name__)

MIB = 1024**2
SMALLEST_PART = 8 * MIB
MOST_PARTS = 10_000
MOST_PARTS_SIGNED_AT_ONCE = 100
RECOVER_AFTER = timedelta(minutes=5)
RECOVER_UNTIL = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A file as the browser announces it."""

    filename: str
    size: int
    content_type: str
    fingerprint: str
    """64 hexadecimal digits: of size, modification time, first and last MiB."""


class UploadRefused(PortalError):
    """A file that we do not take. Filed for the admin under the same code."""

    def __init__(self, code: FailureCode, message: str, status: int) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__()


class ConsentMissing(PortalError):
    code = "consent_missing"
    message = "Please read and agree to the questions on the page before this one first."
    status = 409


class TooManyVideos(PortalError):
    code = "too_many_videos"
    message = "You have sent as many videos as this link allows. Your clinic can send you a new one."
    status = 409


class BadParts(PortalError):
    code = "bad_parts"
    message = "This upload got out of step. Please choose the same video again to continue it."
    status = 400


class PartsMissing(PortalError):
    """`missing`: numbers of the parts that the store does not have in full."""

    code = "parts_missing"
    message = "A piece of the video has not arrived yet. It will be sent again."
    status = 409


class UploadGone(PortalError):
    code = "upload_gone"
    message = "This upload was stopped. Please choose the video again to send it."
    status = 410


def part_size_for(size: int) -> int:
    """8 MiB, or as many whole MiB as keep the upload within the 10,000 parts that S3 allows.

    Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits".
    """
    needed = -(-size // MOST_PARTS)
    return max(SMALLEST_PART, -(-needed // MIB) * MIB)


def start(*, caller: Caller, encounter: Encounter, offer: Offer) -> tuple[Video, bool]:
    """Announce a file. Gives its video, and whether this continues what was begun or done before.

    Raises `UploadRefused`, `ConsentMissing`, `TooManyVideos`, `StoreUnavailable`.
    """
    if caller.invitation and not encounter.consented:
        raise ConsentMissing
    known = _same_file(encounter, offer)
    if known is None and encounter.videos.kept().count() >= settings.UPLOAD_MAX_VIDEOS:
        raise TooManyVideos
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
            _receive(caller, video)
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
    """The upload of this very file, unfinished or done. One that could not be read may be sent anew."""
    same = encounter.videos.filter(fingerprint=offer.fingerprint, size=offer.size, removed_at__isnull=True)
    candidates = same.select_related("job").order_by("-created_at")
    retryable = {VideoState.FAILED, VideoState.CANCELLED}
    return next((video for video in candidates if video.state not in retryable), None)


def _announce(caller: Caller, encounter: Encounter, offer: Offer) -> Video:
    """The row of a new upload; of two that are announced at once, the one that was first."""
    refusal = _refusal(offer)
    extension = extension_of(offer.filename, offer.content_type)
    if refusal or extension is None:
        raise _filed(caller, encounter, offer, refusal or _not_a_video())
    try:
        with transaction.atomic():
            video = _row(encounter, offer, new_source_key(encounter.reference, extension))
            caller.record(Verb.UPLOAD_STARTED, encounter=encounter, video=video)
    except IntegrityError:
        first = _same_file(encounter, offer)
        if first is None:
            raise
        return first
    return video


def _row(encounter: Encounter, offer: Offer, source_key: str, **received: Any) -> Video:
    return Video.objects.create(
        encounter=encounter,
        original_name=offer.filename,
        announced_type=offer.content_type,
        size=offer.size,
        fingerprint=offer.fingerprint,
        source_key=source_key,
        part_size=part_size_for(offer.size),
        **received,
    )


def _refusal(offer: Offer) -> UploadRefused | None:
    if offer.size == 0:
        return UploadRefused(
            FailureCode.EMPTY, "This file is empty. Please choose another video, or record it again.", 422
        )
    if offer.size > settings.UPLOAD_MAX_BYTES:
        limit = filesizeformat(settings.UPLOAD_MAX_BYTES)
        return UploadRefused(
            FailureCode.TOO_LARGE, f"This video is larger than {limit}. Please record a shorter one.", 413
        )
    return None


def _not_a_video() -> UploadRefused:
    return UploadRefused(
        FailureCode.NOT_A_VIDEO, "This file is not a video. Please choose a video instead.", 415
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
    if not Video.objects.filter(pk=video.pk, upload_id="").update(upload_id=upload_id):
        object_store().abort(video.source_key, upload_id)
    video.refresh_from_db()


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
        raise UploadGone from error
    except StoreError as error:
        raise StoreUnavailable from error


def _parts(video: Video) -> list[StoredPart]:
    """The store's list, with the checksums that the parts were signed with where it names none."""
    signed = dict(video.parts.values_list("number", "sha256"))
    stored = object_store().parts(video.source_key, video.upload_id)
    return [replace(part, sha256=part.sha256 or signed.get(part.number, "")) for part in stored]


def sign(*, video: Video, wanted: Sequence[tuple[int, str]]) -> list[PresignedPart]:
    """Permission to send these parts: `(number, SHA-256 as base64)`, just before they are sent.

    Raises `BadParts`, `UploadGone`.
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
    UploadPart.objects.bulk_create(
        [UploadPart(video=video, number=number, sha256=checksum) for number, checksum in wanted],
        update_conflicts=True,
        unique_fields=["video", "number"],
        update_fields=["sha256"],
    )
    return [
        object_store().presign_part(
            video.source_key, video.upload_id, number, checksum, settings.UPLOAD_URL_SECONDS
        )
        for number, checksum in wanted
    ]


def _still_wanted(video: Video) -> None:
    if video.removed_at or not video.upload_id:
        raise UploadGone


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
    except StoreError as error:
        raise StoreUnavailable from error
    return _receive(caller, video)


def _join(video: Video) -> None:
    """Have the store make the object from its parts.

    It may have joined them before, just before our process died: then the upload is gone and the
    object is there.
    """
    try:
        parts = _parts(video)
        missing = _missing(video, parts)
        if missing:
            raise PartsMissing(missing=missing)
        object_store().join(video.source_key, video.upload_id, parts)
    except NoSuchUpload as error:
        if _is_whole(video):
            return
        _forget_upload(video)
        raise UploadGone from error
    except PartsRefused as error:
        if _is_whole(video):  # somebody else joined them in this very moment
            return
        # A part was signed anew for bytes that never came. Which one, nobody says: none is known now.
        video.parts.all().delete()
        raise PartsMissing(missing=[]) from error


def _missing(video: Video, parts: Sequence[StoredPart]) -> list[int]:
    """Numbers of the parts that are not there in their full size."""
    sizes = {part.number: part.size for part in parts}
    last = video.part_count
    expected = dict.fromkeys(range(1, last), video.part_size)
    expected[last] = video.size - video.part_size * (last - 1)
    return [number for number, size in expected.items() if sizes.get(number) != size]


def _is_whole(video: Video) -> bool:
    return object_store().size(video.source_key) == video.size


def _receive(caller: Caller, video: Video) -> Video:
    """The moment at which an upload becomes a video: once, with its job, or not at all."""
    with transaction.atomic():
        open_uploads = Video.objects.select_for_update().filter(
            pk=video.pk, received_at__isnull=True, removed_at__isnull=True
        )
        if open_uploads.exists():
            job = jobs.enqueue(source_key=video.source_key)
            open_uploads.update(received_at=timezone.now(), job=job)
            caller.record(Verb.UPLOAD_COMPLETED, encounter=video.encounter, video=video)
    video.refresh_from_db()
    if video.removed_at:
        object_store().delete(video.source_key)
        raise UploadGone
    return video


def abort(*, caller: Caller, video: Video) -> None:
    """Stop an unfinished upload and have the store forget it. A received video stays."""
    with transaction.atomic():
        open_upload = Video.objects.filter(pk=video.pk, received_at__isnull=True, removed_at__isnull=True)
        if open_upload.update(removed_at=timezone.now()):
            caller.record(Verb.UPLOAD_ABORTED, encounter=video.encounter, video=video)
    video.refresh_from_db()
    if video.removed_at and video.upload_id:
        try:
            object_store().abort(video.source_key, video.upload_id)
        except StoreError as error:
            raise StoreUnavailable from error


def recover() -> int:
    """Complete what arrived whole but was never completed: the phone died, or we did. Scheduled."""
    now = timezone.now()
    candidates = Video.objects.filter(
        received_at__isnull=True,
        removed_at__isnull=True,
        created_at__range=(now - RECOVER_UNTIL, now - RECOVER_AFTER),
    ).exclude(upload_id="")
    recovered = 0
    for video in candidates.select_related("encounter"):
        try:
            complete(caller=PORTAL, video=video)
        except (PartsMissing, UploadGone):
            continue
        except StoreUnavailable:
            break
        recovered += 1
    if recovered:
        logger.info("uploads recovered", extra={"count": recovered})
    return recovered
