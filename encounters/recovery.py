"""What becomes of uploads whose browser is gone: they are completed, or given up, and nothing dangles.

A store tells of an object by an event, and a schedule asks in case that the event was lost.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from encounters import arrivals, uploads
from encounters.callers import PORTAL
from encounters.disposal import a_hold
from encounters.models import Verb, Video, VideoQuerySet
from encounters.uploads import PartsMissing, UploadGone
from transcoding.engine.keys import MADE_BY_US, is_source
from transcoding.engine.store import StoreError
from transcoding.errors import StoreUnavailable
from transcoding.store import object_store

logger = logging.getLogger(__name__)

RECOVER_AFTER = timedelta(minutes=5)
RECOVER_UNTIL = timedelta(days=1)
"""No part arrives so long after the last one was signed."""
ORPHAN_AFTER = timedelta(hours=1)
"""Younger uploads at the store may belong to a row that is just being written."""


def arrived(source_key: str) -> bool:
    """The store says that this object is there: complete its upload if that was never done, or adopt it.

    The store is asked whether it is true. Raises `StoreUnavailable`.
    """
    video = Video.objects.filter(source_key=source_key).select_related("encounter").first()
    if video is None:
        return _adopted(source_key)
    is_open = video.received_at is None and video.removed_at is None and video.upload_id
    return bool(is_open) and _completed(video)


def _adopted(source_key: str) -> bool:
    """What somebody dropped into the bucket by hand becomes a video of the encounter that it lies under."""
    if not is_source(source_key):
        return False
    try:
        found = object_store().describe(source_key)
    except StoreError as error:
        raise StoreUnavailable from error
    if found is None or MADE_BY_US in found.metadata:
        return False
    return arrivals.adopt(source_key=source_key, size=found.size, etag=found.etag) is not None


def recover() -> int:
    """Complete what arrived whole but was never completed: the phone died, or we did. Scheduled."""
    now = timezone.now()
    lately = Video.objects.unfinished().filter(active_at__range=(now - RECOVER_UNTIL, now - RECOVER_AFTER))
    recovered = 0
    try:
        for video in lately.exclude(upload_id="").select_related("encounter"):
            recovered += _completed(video)
    except StoreUnavailable:
        logger.warning("uploads not recovered: the store does not answer")
    if recovered:
        logger.info("uploads recovered", extra={"count": recovered})
    return recovered


def _completed(video: Video) -> bool:
    try:
        uploads.complete(caller=PORTAL, video=video)
    except (PartsMissing, UploadGone):
        return False
    return True


def tidy() -> dict[str, int]:
    """Give up what nobody will continue, and have the store drop what belongs to nothing. Scheduled."""
    done = {"completed": 0, "abandoned": 0, "orphans": 0}
    try:
        _give_up_abandoned(done)
        done["orphans"] = _forget_orphans()
    except (StoreUnavailable, StoreError):
        logger.warning("uploads not tidied: the store does not answer")
    if any(done.values()):
        logger.info("uploads tidied", extra=done)
    return done


def _not_held() -> VideoQuerySet:
    """Videos that no legal hold forbids to give up."""
    return Video.objects.filter(~a_hold())


def _give_up_abandoned(done: dict[str, int]) -> None:
    """Past the time in which an upload may be continued, it is completed if it is whole, else given up."""
    until = timezone.now() - timedelta(days=settings.UPLOAD_RESUME_DAYS)
    for video in _not_held().unfinished().filter(created_at__lt=until).select_related("encounter"):
        if video.upload_id and _completed(video):
            done["completed"] += 1
        else:
            uploads.abort(caller=PORTAL, video=video, verb=Verb.UPLOAD_ABANDONED)
            done["abandoned"] += 1


def _forget_orphans() -> int:
    """Abort at the store what is none of our open uploads: one that was stopped while the store was away,
    or one that was begun twice. Others in the same bucket, such as an MP4 that is being stored, are left.
    """
    forgotten = 0
    for found in object_store().open_uploads():
        rows = _not_held().filter(source_key=found.key)
        is_open = rows.unfinished().filter(upload_id=found.upload_id).exists()
        if found.began_at < timezone.now() - ORPHAN_AFTER and rows.exists() and not is_open:
            object_store().abort(found.key, found.upload_id)
            forgotten += 1
    return forgotten
