"""What a player tells of itself while somebody watches."""

import json
import math
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.views.decorators.http import require_POST

from encounters import playback
from encounters.callers import staff
from encounters.viewings import Piece
from encounters.views.staff import StaffRequest, find_video
from transcoding.errors import PortalError

MOST_PIECES = 500


class BadReport(PortalError):
    code = "bad_report"
    message = "The player told something that nobody can have watched."
    status = 400


@require_POST
def video_watched(request: StaffRequest, pk: UUID) -> HttpResponse:
    """Take the pieces that were shown since the last report; `last`: the page is being left."""
    video = find_video(request, pk)
    pieces = _pieces(request.POST.get("played", ""))
    playback.watched(caller=staff(request), video=video, pieces=pieces, is_last="last" in request.POST)
    return HttpResponse(status=204)


def _pieces(text: str) -> list[Piece]:
    """`[[from, to], …]`, in seconds of the film. Raises `BadReport`."""
    try:
        found: Any = json.loads(text)
        pieces = [(float(start), float(end)) for start, end in found]
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise BadReport from None
    if len(pieces) > MOST_PIECES or not all(math.isfinite(end - start) for start, end in pieces):
        raise BadReport
    return pieces
