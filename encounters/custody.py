"""The chain of custody of a video: what was sent, what the store holds, what was made of it, who saw it."""

import base64
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q

from encounters.models import SEEING, AccessRecord, ErasureProof, Video
from transcoding.engine.store import NoSuchObject
from transcoding.models import TranscodeJob
from transcoding.store import object_store

MIB = 1024**2


def record_of(video: Video) -> dict[str, Any]:
    """All of it, fit for JSON. Times are ISO 8601 in UTC, sizes bytes, digests SHA-256.

    `sha256` of a part is base64, as S3 writes it; every other one is hexadecimal.
    """
    return {
        "version": 1,
        "video": str(video.pk),
        "encounter": video.encounter.reference,
        "announced": {
            "at": video.created_at.isoformat(),
            "name": video.original_name,
            "type": video.announced_type,
            "size": video.size,
            "fingerprint": video.fingerprint,
            "part_size": video.part_size,
        },
        "parts": list(video.parts.values("number", "sha256")),
        "received": _received(video),
        "conversions": _conversions(video.job) if video.job else [],
        "made": _made(video.job) if video.job else [],
        "erased": _erased(video),
        "access": [_access(record) for record in access_to(video)],
    }


def _erased(video: Video) -> dict[str, Any] | None:
    if video.erased_at is None:
        return None
    of_it = ErasureProof.objects.filter(Q(video=video) | Q(encounter=video.encounter_id, video=None))
    proofs = [proof.digest for proof in of_it if _is_in(video, proof)]
    return {"at": video.erased_at.isoformat(), "proofs": proofs}


def _is_in(video: Video, proof: ErasureProof) -> bool:
    named = {one["video"] for one in proof.contents["videos"]}
    return str(video.pk) in named or proof.video_id == video.pk


def _received(video: Video) -> dict[str, Any] | None:
    if video.received_at is None or video.job is None:
        return None
    return {
        "at": video.received_at.isoformat(),
        "key": video.source_key,
        "sha256": video.job.source_sha256 or None,
    }


def _conversions(job: TranscodeJob) -> list[dict[str, Any]]:
    return [
        {
            "number": attempt.number,
            "runner": attempt.runner,
            "host": attempt.host,
            "started": attempt.started_at.isoformat(),
            "ended": attempt.ended_at.isoformat() if attempt.ended_at else None,
            "outcome": attempt.outcome,
            "ffmpeg_version": attempt.ffmpeg_version,
            "ffmpeg_arguments": attempt.ffmpeg_arguments,
        }
        for attempt in job.attempts.all()
    ]


def _made(job: TranscodeJob) -> list[dict[str, Any]]:
    made: Any = job.renditions.values("kind", "object_key", "content_type", "size", "sha256")
    return list(made)


def access_to(video: Video) -> Any:
    """The records of this video, and those of whoever saw the page on which it stands."""
    about = Q(video=video) | Q(encounter=video.encounter_id, video=None, verb__in=SEEING)
    return AccessRecord.objects.filter(about).select_related("user")


def _access(record: AccessRecord) -> dict[str, Any]:
    return {
        "number": record.number,
        "at": record.at.isoformat(),
        "who": record.who,
        "act": record.verb,
        "seconds": record.seconds,
        "address": record.address,
        "reason": record.reason,
        "digest": record.digest,
    }


def problems(video: Video) -> Iterator[str]:
    """What the store holds otherwise than was recorded, one sentence each.

    Reads every object whole, through a file of its own. Raises `StoreError` if the store is away.
    """
    if video.received_at is None or video.job is None or video.removed_at or not video.job.attempt_limit:
        return
    settings.WORK_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.WORK_DIR) as folder:
        path = Path(folder) / "object"
        yield from _problems_of_source(video, video.job, path)
        for made in video.job.renditions.all():
            yield from _problems_of(made.object_key, made.sha256, path)


def _problems_of_source(video: Video, job: TranscodeJob, path: Path) -> Iterator[str]:
    if not job.source_sha256:
        yield f"{video.source_key} was never read whole: it has no digest to compare with."
    yield from _problems_of(video.source_key, job.source_sha256, path)
    if path.exists():
        checksums = dict(video.parts.values_list("number", "sha256"))
        for number, found in enumerate(_checksums_of_parts(path, video.part_size), start=1):
            if checksums and checksums.get(number) != found:
                yield f"Part {number} of {video.source_key} is not what was signed for."


def _problems_of(key: str, sha256: str, path: Path) -> Iterator[str]:
    path.unlink(missing_ok=True)
    try:
        object_store().download(key, path)
    except NoSuchObject:
        path.unlink(missing_ok=True)
        yield f"{key} is missing."
        return
    with path.open("rb") as file:
        if sha256 and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            yield f"{key} was changed."


def _checksums_of_parts(path: Path, part_size: int) -> Iterator[str]:
    with path.open("rb") as file:
        while piece := file.read(min(part_size, MIB)):
            digest, left = hashlib.sha256(piece), part_size - len(piece)
            while left and (piece := file.read(min(left, MIB))):
                digest.update(piece)
                left -= len(piece)
            yield base64.b64encode(digest.digest()).decode()
