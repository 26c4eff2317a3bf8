"""Which seconds of a video somebody has seen: the memory of one viewing, until its record is written."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

Piece = tuple[float, float]
"""From and to, in seconds of the film."""


def union(pieces: Iterable[Piece], *, length: float) -> list[Piece]:
    """The same seconds, each of them once, in order, within the film's length."""
    found: list[Piece] = []
    for start, end in sorted((max(0.0, start), min(end, length)) for start, end in pieces):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif end > start:
            found.append((start, end))
    return found


class ViewingQuerySet(models.QuerySet["Viewing"]):
    def going_on(self) -> "ViewingQuerySet":
        return self.filter(heard_at__gt=_over_before())

    def over(self) -> "ViewingQuerySet":
        return self.filter(heard_at__lte=_over_before())


def _over_before() -> datetime:
    return timezone.now() - timedelta(seconds=settings.PLAYBACK_URL_SECONDS)


class Viewing(models.Model):
    """One person watching one video, until nothing is heard of it for as long as an address lives.

    Seconds that were seen twice count once. Access records are written once, so each time the page is left
    one is added with the seconds that are new since the one before; their sum is what was seen.
    """

    record = models.OneToOneField("encounters.AccessRecord", on_delete=models.PROTECT, related_name="viewing")
    """That it began: who, and what."""
    heard_at = models.DateTimeField(default=timezone.now, db_index=True)
    pieces = models.JSONField(default=list)
    """What `union` gives."""
    recorded = models.PositiveIntegerField(default=0)
    """Seconds that access records say already."""

    objects = ViewingQuerySet.as_manager()

    @property
    def unrecorded(self) -> int:
        """Whole seconds that no access record says yet."""
        shown: float = sum(end - start for start, end in self.pieces)
        return max(0, round(shown) - self.recorded)
