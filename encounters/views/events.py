"""What the store says of itself: an object arrived. The second trigger, should a browser never say so.

Nothing is believed but that the store has news: `recovery.arrived` asks the store itself, so that an event
that is late, doubled or replayed does no harm.
"""

import hmac
import json
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_plus

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from encounters import recovery
from transcoding.errors import PortalError

WINDOW_SECONDS = 300


class NotSigned(PortalError):
    code = "not_signed"
    message = "This event is not signed, or was signed too long ago."
    status = 403


class NoEvent(PortalError):
    code = "no_event"
    message = "This is no event of a store."
    status = 400


@csrf_exempt
@login_not_required
@require_POST
def store_event(request: HttpRequest) -> JsonResponse:
    """Takes the notifications of SeaweedFS's webhook, of S3, and of EventBridge."""
    _check_signature(request)
    try:
        keys = list(_keys(json.loads(request.body)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoEvent from error
    return JsonResponse({"completed": sum(recovery.arrived(key) for key in keys)})


def _check_signature(request: HttpRequest) -> None:
    """Either the secret itself, which is all that SeaweedFS can send, or an HMAC-SHA256 over time and body.

    Raises `NotSigned`.
    """
    secret: str = settings.STORE_EVENTS_SECRET
    if not secret:
        raise Http404
    moment = request.headers.get("X-Portal-Timestamp", "")
    if not moment:
        given, expected = request.headers.get("Authorization", ""), f"Bearer {secret}"
    else:
        if not moment.isdecimal() or abs(time.time() - int(moment)) > WINDOW_SECONDS:
            raise NotSigned
        given = request.headers.get("X-Portal-Signature", "")
        message = moment.encode() + b"." + request.body
        expected = hmac.new(secret.encode(), message, sha256).hexdigest()
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise NotSigned


def _keys(event: dict[str, Any]) -> Iterator[str]:
    """Keys of the objects in our bucket that the event is about."""
    if "event_type" in event:  # SeaweedFS: a path in its file system; deletions concern nobody
        folder = f"/buckets/{settings.S3_BUCKET}/"
        if event["event_type"] != "delete" and event["key"].startswith(folder):
            yield event["key"].removeprefix(folder)
        return
    for record in event.get("Records", []):
        yield from _ours(record["s3"], unquote_plus(record["s3"]["object"]["key"]))
    if "detail" in event:
        yield from _ours(event["detail"], event["detail"]["object"]["key"])


def _ours(place: dict[str, Any], key: str) -> Iterator[str]:
    if place["bucket"]["name"] == settings.S3_BUCKET:
        yield key
