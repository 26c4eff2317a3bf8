"""What must hold before a worker may start."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from transcoding.engine.binaries import find_ffmpeg, find_ffprobe
from transcoding.engine.errors import FfmpegMissing
from transcoding.engine.store import StoreError
from transcoding.store import object_store

TAG = "transcoding"


def check_ffmpeg(**kwargs: Any) -> list[CheckMessage]:
    try:
        find_ffmpeg(), find_ffprobe()
    except FfmpegMissing as missing:
        return [Error(str(missing), hint="Set FFMPEG_PATH and FFPROBE_PATH.", id="transcoding.E001")]
    return []


def check_queue(**kwargs: Any) -> list[CheckMessage]:
    """django-q2 hands a task out again once `retry` is over: never while it may still be running."""
    base = {key: value for key, value in settings.Q_CLUSTER.items() if key != "ALT_CLUSTERS"}
    clusters = {"portal": base} | {
        name: {**base, **changes} for name, changes in settings.Q_CLUSTER["ALT_CLUSTERS"].items()
    }
    return [
        Error(
            f"Cluster {name}: retry must be greater than timeout.",
            hint="Set Q_CLUSTER's retry to three times its timeout.",
            id="transcoding.E002",
        )
        for name, cluster in clusters.items()
        if cluster["retry"] <= cluster["timeout"]
    ]


def check_bucket(**kwargs: Any) -> list[CheckMessage]:
    """Asks the store, so runs with `check --deploy` only."""
    try:
        object_store().check()
    except StoreError as error:
        return [
            Error(
                f"The bucket cannot be reached: {error.code}.",
                hint="Look at S3_BUCKET, S3_ENDPOINT, S3_ACCESS_KEY and S3_SECRET_KEY.",
                id="transcoding.E003",
            )
        ]
    return []


def register_all() -> None:
    register(check_ffmpeg, TAG)
    register(check_queue, TAG)
    register(check_bucket, Tags.security, deploy=True)
