"""Speaking the upload protocol as a patient's browser does, and rows that are tedious to write."""

import base64
import hashlib
import urllib.error
import urllib.request
from pathlib import Path

from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from encounters.models import Video
from encounters.offers import SMALLEST_PART
from tests.conftest import make_job
from transcoding.engine.contracts import OutputKind
from transcoding.models import Rendition, Status

VIDEO_HEAD = b"\0\0\0\x14ftypqt  \0\0\0\0qt  "
"""What makes a file a video for its first look. Source: QuickTime File Format, "The File Type Atom"."""
CONTENT = VIDEO_HEAD + b"As short as an upload can be. " * 10
TWO_PARTS = VIDEO_HEAD + bytes(range(256)) * (SMALLEST_PART // 256) + b"second part"


def checksum(content):
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def announcement(content=CONTENT, **changes):
    return {
        "filename": "IMG_0042.MOV",
        "size": len(content),
        "type": "video/quicktime",
        "last_modified": 1_760_000_000_000,
        "fingerprint": hashlib.sha256(content).hexdigest(),
        **changes,
    }


def post(client, path, body, **extra):
    return client.post(path, body, content_type="application/json", **extra)


def announce(client, content=CONTENT, **changes):
    return post(client, "/uploads/", announcement(content, **changes))


def sign(client, upload, parts):
    """`parts`: checksum by number."""
    wanted = [{"number": number, "sha256": sha256} for number, sha256 in parts.items()]
    return post(client, f"/uploads/{upload}/parts/", {"parts": wanted})


def put(permission, content, method="PUT"):
    """Send bytes to a presigned address; gives the store's status."""
    request = urllib.request.Request(
        permission["url"], data=content, headers=permission["headers"], method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def pieces(content):
    starts = range(0, len(content), SMALLEST_PART)
    return {number: content[at : at + SMALLEST_PART] for number, at in enumerate(starts, start=1)}


def send_parts(client, upload, content=CONTENT, numbers=None):
    chosen = {number: piece for number, piece in pieces(content).items() if not numbers or number in numbers}
    answer = sign(client, upload, {number: checksum(piece) for number, piece in chosen.items()})
    for permission in answer.json()["urls"]:
        assert put(permission, chosen[permission["number"]]) == 200


def complete(client, upload):
    return client.post(f"/uploads/{upload}/complete/")


def begin(client, content=CONTENT, **changes):
    """Announce a file and send all of its parts; gives the upload's id."""
    upload = announce(client, content, **changes).json()["id"]
    send_parts(client, upload, content)
    return upload


def send(client, content=CONTENT, **changes):
    """Upload a file from the first request to the last."""
    upload = begin(client, content, **changes)
    assert complete(client, upload).status_code == 200
    return Video.objects.get(pk=upload)


def make_video(encounter, name, status=None, **fields):
    """A video whose job has this status; without one, an upload that is under way."""
    key = f"{encounter.reference}/{hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()}.mov"
    received = {"received_at": timezone.now(), "job": make_job(status, source_key=key)} if status else {}
    usual = {"original_name": name, "size": 1, "part_size": 8, "fingerprint": name, "source_key": key}
    return Video.objects.create(encounter=encounter, **{**usual, **received, **fields})


def make_renditions(video):
    """Rows of an MP4 and a poster, 65 seconds long; gives their keys."""
    stem = video.source_key.rpartition(".")[0]
    mp4, poster = f"{stem}.web.mp4", f"{stem}.poster.jpg"
    common = {"job": video.job, "size": 1, "sha256": "0" * 64, "width": 160, "height": 120}
    Rendition.objects.create(
        kind=OutputKind.MP4, object_key=mp4, content_type="video/mp4", duration=65.2, **common
    )
    Rendition.objects.create(kind=OutputKind.POSTER, object_key=poster, content_type="image/jpeg", **common)
    return mp4, poster


def make_stored_video(encounter, store):
    """One that can be watched: its original and all that was made of it are in the store."""
    video = make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED)
    for key in (video.source_key, *make_renditions(video)):
        store.put(key, b"film", "video/mp4")
    return video


def everything_stored():
    """Every column of every row, with sessions and queued tasks unpacked."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - our own tables
            found += cursor.fetchall()
    found += [session.get_decoded() for session in Session.objects.all()]
    found += [row.task for row in OrmQ.objects.all()]
    return repr(found)


def database_file():
    """Every byte that the database keeps on the disk; none where another program keeps it."""
    if connection.vendor != "sqlite":
        return b""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(connection.settings_dict["NAME"]).read_bytes()
