"""Watching: who may, for how long, and that they did."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone

from encounters.callers import Caller
from encounters.models import AccessRecord, Verb, Video
from transcoding.engine.contracts import OutputKind
from transcoding.errors import PortalError
from transcoding.models import Rendition, rendition


class NotReady(PortalError):
    code = "not_ready"
    message = "This video is not ready to be watched yet."
    status = 404


def play_url(*, caller: Caller, video: Video) -> str:
    """A short-lived address of the MP4. One viewing is recorded once, however often it is asked for."""
    address = _signed(video, OutputKind.MP4)
    _record_viewing(caller, video)
    return address


def live_key(*, caller: Caller, video: Video) -> str:
    """The key of an original that is to be shown before it is converted. Recorded as any viewing is."""
    if not video.is_watchable_live:
        raise NotReady
    _record_viewing(caller, video)
    return video.source_key


def is_shown(pk: UUID) -> bool:
    """Whether who is watching may go on: nobody has deleted it or withdrawn consent meanwhile."""
    return Video.objects.kept().filter(pk=pk).exists()


@transaction.atomic
def _record_viewing(caller: Caller, video: Video) -> None:
    viewing = timedelta(seconds=settings.PLAYBACK_URL_SECONDS)
    earlier = AccessRecord.objects.filter(
        verb=Verb.VIDEO_PLAYED, user=caller.user, video=video, at__gt=timezone.now() - viewing
    )
    if not earlier.exists():
        caller.record(Verb.VIDEO_PLAYED, encounter=video.encounter, video=video)


def poster_url(*, video: Video) -> str:
    return _signed(video, OutputKind.POSTER)


def _signed(video: Video, kind: OutputKind) -> str:
    made = rendition(video.job.renditions.all(), kind) if video.job and not video.removed_at else None
    if made is None:
        raise NotReady
    return _address(made)


def _address(made: Rendition) -> str:
    storage: Any = storages["playback"]
    parameters = {
        "ResponseContentType": made.content_type,
        "ResponseContentDisposition": "inline",
        "ResponseCacheControl": "private, no-store",
    }
    address: str = storage.url(made.object_key, parameters=parameters)
    return address
