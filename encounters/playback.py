"""Watching: who may, for how long, and that they did."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.storage import storages
from django.db import router, transaction
from django.utils import timezone

from encounters import chain
from encounters.callers import Caller
from encounters.models import AccessRecord, Verb, Video, Viewing
from encounters.viewings import Piece, ViewingQuerySet, union
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
    _viewing(caller, video)
    return address


def live_key(*, caller: Caller, video: Video) -> str:
    """The key of an original that is to be shown before it is converted. Recorded as any viewing is."""
    if not video.is_watchable_live:
        raise NotReady
    _viewing(caller, video)
    return video.source_key


def is_shown(pk: UUID) -> bool:
    """Whether who is watching may go on: nobody has deleted it or withdrawn consent meanwhile."""
    return Video.objects.kept().filter(pk=pk).exists()


def _going_on(caller: Caller, video: Video) -> ViewingQuerySet:
    return Viewing.objects.going_on().filter(record__user=caller.user, record__video=video)


@transaction.atomic
def _viewing(caller: Caller, video: Video) -> Viewing:
    """This person's viewing of this video: the one that goes on, or a new one with its record."""
    going_on = _going_on(caller, video)
    viewing = going_on.last()
    if viewing is None:
        chain.take_turns(router.db_for_write(AccessRecord))  # a player may ask for two ranges at once
        viewing = going_on.last()
    if viewing is None:
        record = caller.record(Verb.VIDEO_PLAYED, encounter=video.encounter, video=video)
        return Viewing.objects.create(record=record)
    Viewing.objects.filter(pk=viewing.pk).update(heard_at=timezone.now())
    return viewing


@transaction.atomic
def watched(*, caller: Caller, video: Video, pieces: Sequence[Piece], is_last: bool) -> None:
    """Add what a player has shown to this viewing. `is_last`: its page is being left, so write it down."""
    if video.removed_at and not _going_on(caller, video).exists():
        return  # a page that was left open: nobody can begin to watch it now
    viewing = Viewing.objects.select_for_update().get(pk=_viewing(caller, video).pk)
    viewing.pieces = union([*viewing.pieces, *pieces], length=_length(video))
    viewing.save(update_fields=["pieces"])
    if is_last:
        _write_down(viewing)


def _length(video: Video) -> float:
    """Seconds; of a video that is not converted yet, the longest that there can be."""
    return (video.mp4.duration if video.mp4 else None) or settings.VIDEO_MAX_SECONDS


def _write_down(viewing: Viewing) -> None:
    """Record the seconds that are new, as whoever watched them."""
    seconds, began = viewing.unrecorded, viewing.record
    if seconds:
        Viewing.objects.filter(pk=viewing.pk).update(recorded=viewing.recorded + seconds)
        Caller(user=began.user, address=began.address).record(
            Verb.SECONDS_WATCHED,
            encounter=began.encounter,
            video=began.video,
            reason=f"of viewing {began.number}",
            seconds=seconds,
        )


def write_down_what_is_over() -> int:
    """Record viewings whose page vanished without a last word, and forget those that are over. Scheduled."""
    keys = list(Viewing.objects.over().values_list("pk", flat=True))
    return sum(_end(key) for key in keys)


@transaction.atomic
def _end(key: int) -> bool:
    viewing = (
        Viewing.objects.over().select_for_update(of=["self"]).select_related("record").filter(pk=key).first()
    )
    if viewing is None:  # somebody watches on
        return False
    _write_down(viewing)
    viewing.delete()
    return True


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
