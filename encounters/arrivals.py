"""Objects that are in the bucket before the portal knows: of an upload that nobody completed, or dropped
there by somebody with a key to the bucket. Nothing that lies under an encounter's prefix is lost."""

import hashlib
import logging
from pathlib import PurePosixPath
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from encounters import gate, offers, uploads
from encounters.callers import PORTAL, LinkClosed
from encounters.keys import CONTENT_TYPES
from encounters.models import Encounter, Verb, Video
from transcoding import jobs
from transcoding.engine.keys import is_source, reference
from transcoding.errors import PortalError

logger = logging.getLogger(__name__)

ADOPTED = "found in the bucket"


def on_object_arrived(source_key: str, size: int, etag: str, **kwargs: Any) -> None:
    """Make a job of it, if it belongs to an encounter. The caller looks whether there is one now."""
    announced = Video.objects.filter(source_key=source_key).first()
    if announced is not None:
        _complete(announced)
    elif is_source(source_key):
        adopt(source_key=source_key, size=size, etag=etag)


def _complete(video: Video) -> None:
    """The event was faster than the browser, or the browser is gone."""
    try:
        uploads.complete(caller=PORTAL, video=video)
    except PortalError as refusal:
        logger.info("arrival not completed", extra={"video": str(video.pk), "code": refusal.code})


def adopt(*, source_key: str, size: int, etag: str) -> Video | None:
    """Give the encounter a video for an object that it did not ask for. None: it is nobody's."""
    encounter = Encounter.objects.filter(reference=reference(source_key)).first()
    if encounter is None:
        logger.warning("object of no encounter")
        return None
    try:
        with transaction.atomic():
            gate.still_open(encounter)
            video = _video_of(encounter, source_key, size, etag)
            PORTAL.record(Verb.UPLOAD_COMPLETED, encounter=encounter, video=video, reason=ADOPTED)
    except (gate.ConsentWithdrawn, LinkClosed):
        logger.warning("object of no encounter")
        return None
    except IntegrityError:  # another event was first
        return Video.objects.filter(source_key=source_key).first()
    logger.info("adopted", extra={"video": str(video.pk)})
    return video


def _video_of(encounter: Encounter, source_key: str, size: int, etag: str) -> Video:
    name = PurePosixPath(source_key).name
    return Video.objects.create(
        encounter=encounter,
        original_name=name,
        announced_type=CONTENT_TYPES[name.rpartition(".")[2].lower()],
        size=size,
        fingerprint=hashlib.sha256(f"{source_key} {etag}".encode()).hexdigest(),
        source_key=source_key,
        part_size=offers.part_size_for(size),
        received_at=timezone.now(),
        job=jobs.enqueue(source_key=source_key),
    )
