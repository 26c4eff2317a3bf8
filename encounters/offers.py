"""What a browser may offer: the file as it announces it, and what we do not take."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from encounters.callers import Caller
from encounters.keys import extension_of
from encounters.models import AccessRecord, Encounter, Verb
from transcoding.engine.contracts import FailureCode
from transcoding.errors import PortalError
from transcoding.words import file_size

MIB = 1024**2
SMALLEST_PART = 8 * MIB
MOST_PARTS = 10_000
CONTENT_DIGITS = 32


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A file as the browser announces it."""

    filename: str
    size: int
    content_type: str
    fingerprint: str
    """64 hexadecimal digits: 32 of size, first and last MiB, then 32 of the modification time."""

    @property
    def content(self) -> str:
        """The part of the fingerprint that a phone keeps when it hands the same video over again."""
        return self.fingerprint[:CONTENT_DIGITS]

    @property
    def extension(self) -> str | None:
        return extension_of(self.filename, self.content_type)


class UploadRefused(PortalError):
    """A file that we do not take. Filed for the admin under the same code."""

    def __init__(self, code: FailureCode, message: str, status: int) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__()


class TooManyVideos(PortalError):
    code = "too_many_videos"
    message = _("You have sent as many videos as this link allows. Your clinic can send you a new one.")
    status = 409


class TooMuch(PortalError):
    code = "too_much"
    message = _("Your videos are larger together than this link allows. Please ask your clinic what to send.")
    status = 409


class TooFast(PortalError):
    code = "too_fast"
    message = _("Too many videos were begun within an hour. Please try again a little later.")
    status = 429


def part_size_for(size: int) -> int:
    """8 MiB, or as many whole MiB as keep the upload within the 10,000 parts that S3 allows.

    Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits".
    """
    needed = -(-size // MOST_PARTS)
    return max(SMALLEST_PART, -(-needed // MIB) * MIB)


def check_limits(caller: Caller, encounter: Encounter, offer: Offer) -> None:
    """Raises `TooFast`, `TooManyVideos`, `TooMuch` if the link does not allow one more like this."""
    if caller.invitation and _begun_lately(caller) >= settings.UPLOAD_STARTS_PER_HOUR:
        raise TooFast
    kept = encounter.videos.kept()
    if kept.count() >= settings.UPLOAD_MAX_VIDEOS:
        raise TooManyVideos
    # What was refused is filed, but takes no room.
    stored = kept.exclude(job__attempt_limit=0).aggregate(size=Sum("size"))["size"] or 0
    if refusal(offer) is None and stored + offer.size > settings.UPLOAD_MAX_TOTAL_BYTES:
        raise TooMuch


def _begun_lately(caller: Caller) -> int:
    return AccessRecord.objects.filter(
        invitation=caller.invitation,
        verb__in=[Verb.UPLOAD_STARTED, Verb.UPLOAD_REFUSED],
        at__gt=timezone.now() - timedelta(hours=1),
    ).count()


def refusal(offer: Offer) -> UploadRefused | None:
    """Why this file is not even begun; None: it may be sent."""
    if offer.size == 0:
        return UploadRefused(
            FailureCode.EMPTY,
            gettext("This file is empty. Please choose another video, or record it again."),
            422,
        )
    if offer.size > settings.UPLOAD_MAX_BYTES:
        words = gettext("This video is larger than %(limit)s. Please record a shorter one.")
        limit = file_size(settings.UPLOAD_MAX_BYTES)
        return UploadRefused(FailureCode.TOO_LARGE, words % {"limit": limit}, 413)
    if offer.extension is None:
        return UploadRefused(
            FailureCode.NOT_A_VIDEO,
            gettext("This file is not a video. Please choose a video instead."),
            415,
        )
    return None
