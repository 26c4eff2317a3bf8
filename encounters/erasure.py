"""Erasing: who asks for it, what stands in its way, and how it is done so that it can be proved.

Somebody asks (`withdraw`, `delete`, or `expire` when the time is over); from that moment nothing is shown
any more. A task does the rest (`erase`): it empties the store of every version, lists it to see that it is
empty, and writes a proof. Each step can be done twice, and each run asks anew whether it still may: whoever
is killed in between leaves to the next run what it needs.
"""

import logging
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import router, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django_q.tasks import async_task

from encounters import chain, gate, holds, retention
from encounters.callers import PORTAL, Caller
from encounters.disposal import Erasure, ErasureProof, Why, digest_of
from encounters.models import AccessRecord, Encounter, Patient, Verb, Video
from transcoding import erasing
from transcoding.engine.store import StoreError
from transcoding.errors import PortalError
from transcoding.models import TranscodeJob

logger = logging.getLogger(__name__)

UNDO = timedelta(days=1)
"""For so long a person's deletion can be undone."""
PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
RUN_SECONDS = 60
"""After so long a run leaves the rest to the next one."""
WORKER_AT_WORK = "worker_at_work"
LOOK_AGAIN_FOR = timedelta(days=7)


class Held(PortalError):
    code = "held"
    message = "A legal hold is on this encounter. Nothing of it can be deleted until the hold is released."
    status = 409


# Asking for it


def withdraw(*, caller: Caller, encounter: Encounter) -> None:
    """Consent is withdrawn: from this moment nothing is shown or taken, and then all is erased. No undo.

    Under a legal hold nothing is shown either, but nothing is erased before the hold is released. Twice is
    once. Signed addresses that browsers have already lead nowhere as soon as the transaction has ended.
    """
    with transaction.atomic():
        now = timezone.now()
        if not _lock(encounter, withdrawn_at__isnull=True, erased_at__isnull=True):
            encounter.refresh_from_db(fields=["withdrawn_at"])
            return
        Encounter.objects.filter(pk=encounter.pk).update(withdrawn_at=now)
        encounter.consents.standing().update(withdrawn_at=now)
        encounter.invitations.filter(revoked_at__isnull=True).update(revoked_at=now)
        encounter.videos.filter(removed_at__isnull=True).update(removed_at=now)
        erasing.bar(_jobs(encounter.videos.all()))
        pk = _ask_for_all(encounter, Why.WITHDRAWN, caller)
        async_task("encounters.erasure.erase", pk, group="erase")
        async_task("encounters.notices.tell_of_withdrawal", encounter.reference, group="notice")
        caller.record(Verb.CONSENT_WITHDRAWN, encounter=encounter)
        transaction.on_commit(lambda: close(pk), robust=True)
    encounter.refresh_from_db(fields=["withdrawn_at"])


def _lock(encounter: Encounter, **still: Any) -> Encounter | None:
    """The encounter, if it is still as described. Until the transaction ends, nobody else decides on it.

    `no_key`: an access record that is added meanwhile looks at this row while it holds the chain, for which
    we wait at our end. Neither must wait for the other.
    """
    return Encounter.objects.select_for_update(no_key=True).filter(pk=encounter.pk, **still).first()


def _ask_for_all(encounter: Encounter, why: Why, caller: Caller) -> int:
    erasure, is_new = Erasure.objects.get_or_create(
        encounter=encounter, video=None, defaults={"why": why, "requested_by": caller.user}
    )
    if not is_new:
        now = timezone.now()
        Erasure.objects.filter(pk=erasure.pk).update(why=why, requested_at=now, next_try_at=now)
    return erasure.pk


def _jobs(videos: Any) -> list[TranscodeJob]:
    return list(TranscodeJob.objects.filter(video__in=videos))


def close(pk: int) -> None:
    """Make what was withdrawn unreachable at once, under signed addresses too. Twice is once."""
    erasure = Erasure.objects.open().filter(pk=pk, closed_at__isnull=True).first()
    if erasure is None:
        return
    jobs = _jobs(_videos(erasure))
    try:
        if holds.is_held(erasure.encounter):
            erasing.seal(jobs)
        else:
            erasing.hide(jobs)
    except StoreError as error:
        _put_off(erasure, error.code)
        return
    if not all(erasing.is_at_rest(job) for job in jobs):  # a worker may still be storing: once more, soon
        return
    Erasure.objects.filter(pk=pk).update(closed_at=timezone.now())


@transaction.atomic
def delete(*, caller: Caller, video: Video) -> None:
    """Take a received video away: it is shown no more, and erased after a day. Twice is once.

    Raises `Held`.
    """
    encounter = _lock(video.encounter)
    if encounter is None or holds.is_held(encounter):
        raise Held
    now = timezone.now()
    kept = Video.objects.received().filter(pk=video.pk)
    if kept.update(removed_at=now):
        Erasure.objects.create(
            encounter=encounter,
            video=video,
            why=Why.DELETED,
            requested_by=caller.user,
            not_before=now + UNDO,
            next_try_at=now + UNDO,
        )
        caller.record(Verb.VIDEO_DELETED, encounter=encounter, video=video)


@transaction.atomic
def undo(*, caller: Caller, video: Video) -> None:
    """Bring a deleted video back. Twice is once. Raises `gate.TooLate`."""
    encounter = _lock(video.encounter)
    erasure = Erasure.objects.select_for_update(no_key=True).filter(video=video).first()
    if erasure is None and Video.objects.kept().filter(pk=video.pk).exists():
        return
    if (
        encounter is None
        or erasure is None
        or not erasure.can_be_undone
        or encounter.erasures.filter(video=None)
    ):
        raise gate.TooLate
    erasure.delete()
    Video.objects.filter(pk=video.pk).update(removed_at=None)
    caller.record(Verb.VIDEO_RESTORED, encounter=encounter, video=video)


# Doing it


def run() -> dict[str, int]:
    """Do all that is due. Scheduled every minute, and may run twice at once."""
    done, until = {"erased": 0, "left": 0}, time.monotonic() + RUN_SECONDS
    for pk in Erasure.objects.to_close().values_list("pk", flat=True):
        close(pk)
    for pk in Erasure.objects.due().order_by("next_try_at").values_list("pk", flat=True):
        if time.monotonic() > until:
            break
        done["erased" if erase(pk) else "left"] += 1
    if any(done.values()):
        logger.info("erasures", extra=done)
    return done


@transaction.atomic
def try_now(*, caller: Caller, erasure: Erasure) -> None:
    """Do not wait out the pause after a failure."""
    Erasure.objects.open().filter(pk=erasure.pk).update(next_try_at=timezone.now())
    async_task("encounters.erasure.erase", erasure.pk, group="erase")
    caller.record(Verb.ERASURE_RETRIED, encounter=erasure.encounter, video=erasure.video)


def expire() -> int:
    """Ask for the erasure of what was kept long enough. Scheduled every hour."""
    asked = 0
    for encounter in retention.over().exclude(erasures__video=None, erasures__isnull=False):
        with transaction.atomic():
            if _lock(encounter, erased_at__isnull=True, withdrawn_at__isnull=True):
                _ask_for_all(encounter, Why.EXPIRED, PORTAL)
                asked += 1
    return asked


def erase(pk: int) -> bool:
    """One try at one erasure; says whether it is done now. Twice at once does no harm."""
    erasure = _begin(pk)
    if erasure is None:
        return False
    jobs = _jobs(_videos(erasure))
    try:
        at_work = [job for job in jobs if not erasing.is_at_rest(job)]
        for place in _places(erasure):
            _note(erasure, erasing.inventory(place))
            erasing.empty(place)
        verified_at = timezone.now()
    except StoreError as error:
        _put_off(erasure, error.code)
        return False
    if at_work:  # a worker may still be storing what it made: look again when it has let go
        _put_off(erasure, WORKER_AT_WORK)
        return False
    return _finish(erasure, verified_at)


@transaction.atomic
def _begin(pk: int) -> Erasure | None:
    """From here on there is no way back. None: it is done, undone, held, or not yet time."""
    asked = Erasure.objects.filter(pk=pk).select_related("encounter").first()
    if asked is None or _lock(asked.encounter) is None or holds.is_held(asked.encounter):
        return None
    now = timezone.now()
    erasure = Erasure.objects.open().select_for_update(no_key=True).filter(pk=pk, not_before__lte=now).first()
    if erasure is None or _is_called_off(erasure):
        return None
    videos = _videos(erasure)
    videos.filter(removed_at__isnull=True).update(removed_at=now)
    erasing.bar(_jobs(videos))
    if erasure.video_id is None:
        Encounter.objects.filter(pk=erasure.encounter_id).update(closed_at=Coalesce("closed_at", Value(now)))
    Erasure.objects.filter(pk=pk).update(
        begun_at=erasure.begun_at or now,
        attempts=F("attempts") + 1,
        next_try_at=now + min(PAUSE * 2 ** min(erasure.attempts, 20), LONGEST_PAUSE),
    )
    erasure.refresh_from_db()
    return erasure


def _is_called_off(erasure: Erasure) -> bool:
    """Its time was over when it was asked for, and then somebody wanted it kept for longer."""
    if erasure.why != Why.EXPIRED or erasure.begun_at or _is_over(erasure):
        return False
    erasure.delete()
    return True


def _is_over(erasure: Erasure) -> bool:
    return bool(retention.over().filter(pk=erasure.encounter_id).exists())


def _videos(erasure: Erasure) -> Any:
    if erasure.video_id:
        return Video.objects.filter(pk=erasure.video_id)
    return Video.objects.filter(encounter=erasure.encounter_id)


def _places(erasure: Erasure) -> list[erasing.Place]:
    if erasure.video:
        return [erasing.place_of(erasure.video.source_key)]
    return [erasing.Place(prefix=f"{erasure.encounter.reference}/")]


@transaction.atomic
def _note(erasure: Erasure, found: erasing.Inventory) -> None:
    """Write down what is there before it is removed, so that the proof knows it after any crash."""
    current = Erasure.objects.open().select_for_update(no_key=True).filter(pk=erasure.pk).first()
    if current is None:
        return
    Erasure.objects.filter(pk=erasure.pk).update(found=current.found | _seen(found))


def _seen(found: erasing.Inventory) -> dict[str, int]:
    """Bytes by what there is; -1 for a delete marker."""
    seen = {f"{one.key} {one.version_id}": -1 if one.is_marker else one.size for one in found.versions}
    return seen | {f"{one.key} {one.upload_id} upload": 0 for one in found.uploads}


def _put_off(erasure: Erasure, trouble: str) -> None:
    logger.warning("erasure put off", extra={"erasure": erasure.pk, "code": trouble})
    Erasure.objects.open().filter(pk=erasure.pk).update(trouble=trouble[:60])


@transaction.atomic
def _finish(erasure: Erasure, verified_at: Any) -> bool:
    """Write the proof, and forget what was said. Of two at once the first does it."""
    encounter = _lock(erasure.encounter)
    current = Erasure.objects.open().select_for_update(no_key=True).filter(pk=erasure.pk).first()
    if current is None or encounter is None:
        return False
    videos = list(_videos(current).filter(erased_at__isnull=True).select_related("job"))
    proof = ErasureProof.objects.create(
        encounter=encounter,
        video=current.video,
        why=current.why,
        requested_at=current.requested_at,
        begun_at=current.begun_at or verified_at,
        verified_at=verified_at,
        contents={"videos": [_described(one) for one in videos], "removed": _counted(current.found)},
    )
    chain.take_turns(router.db_for_write(AccessRecord))  # what follows locks rows that records name
    for video in videos:
        _forget_video(video)
    if current.video is None:
        _forget_encounter(encounter)
    _end(current)
    _record(proof)
    return True


def look_again() -> int:
    """Erase what turned up after an erasure: a worker or function that was cut off may have ended late.

    Scheduled every hour; looks for a week.
    """
    since = timezone.now() - LOOK_AGAIN_FOR
    try:
        return len(list(leftovers(erase=True, since=since)))
    except StoreError as error:
        logger.warning("not looked again", extra={"code": error.code})
        return 0


def leftovers(*, erase: bool, since: datetime | None = None) -> Iterator[str]:
    """Where something is in the store of what was erased; with `erase`, it is erased too.

    Raises `StoreError`.
    """
    lately = {"erased_at__gt": since} if since else {"erased_at__isnull": False}
    for encounter in Encounter.objects.filter(**lately):
        place = erasing.Place(prefix=f"{encounter.reference}/")
        if _is_left(encounter, None, place, erase=erase):
            yield f"encounter {encounter.reference}"
    for video in Video.objects.filter(**lately, encounter__erased_at=None).select_related("encounter"):
        if _is_left(video.encounter, video, erasing.place_of(video.source_key), erase=erase):
            yield f"video {video.pk}"


def forged_proofs() -> Iterator[str]:
    """Proofs that say something else than when they were written, one sentence each."""
    for proof in ErasureProof.objects.order_by("pk"):
        named = AccessRecord.objects.filter(verb=Verb.ERASED, reason__endswith=f"proof {proof.digest}")
        if digest_of(proof) != proof.digest or not named.exists():
            yield f"Proof {proof.pk} was changed."


def _is_left(encounter: Encounter, video: Video | None, place: erasing.Place, *, erase: bool) -> bool:
    found, now = erasing.inventory(place), timezone.now()
    if not found or not erase:
        return bool(found)
    erasing.empty(place)
    with transaction.atomic():
        proof = ErasureProof.objects.create(
            encounter=encounter,
            video=video,
            why=Why.LEFTOVER,
            requested_at=now,
            begun_at=now,
            verified_at=timezone.now(),
            contents={"videos": [], "removed": _counted(_seen(found))},
        )
        _record(proof)
    return True


def _end(erasure: Erasure) -> None:
    """Whatever else was to be erased of the same is erased with it."""
    same = Q(pk=erasure.pk) if erasure.video_id else Q(encounter=erasure.encounter_id)
    now = timezone.now()
    Erasure.objects.open().filter(same).update(
        done_at=now, begun_at=Coalesce("begun_at", Value(now)), found={}, trouble=""
    )


def _record(proof: ErasureProof) -> None:
    said = f"{proof.get_why_display()}; proof {proof.digest}"
    PORTAL.record(Verb.ERASED, encounter=proof.encounter, video=proof.video, reason=said)
    logger.info("erased", extra={"encounter": proof.encounter.reference, "proof": proof.digest})


def _described(video: Video) -> dict[str, Any]:
    job = video.job
    return {
        "video": str(video.pk),
        "original": {"sha256": job.source_sha256 if job else "", "size": video.size},
        "made": list(job.renditions.values("kind", "sha256", "size")) if job else [],
    }


def _counted(found: dict[str, int]) -> dict[str, int]:
    uploads = sum(name.endswith(" upload") for name in found)
    markers = sum(size < 0 for size in found.values())
    return {
        "versions": len(found) - uploads - markers,
        "delete_markers": markers,
        "uploads": uploads,
        "bytes": sum(size for size in found.values() if size > 0),
    }


def _forget_video(video: Video) -> None:
    """What is left of a video: that it was there, how large, and when."""
    if video.job:
        erasing.forget(video.job)
        video.job.refresh_from_db()
    video.parts.all().delete()
    Video.objects.filter(pk=video.pk).update(
        erased_at=timezone.now(),
        original_name="",
        announced_type="",
        fingerprint="",
        upload_id="",
        sender="",
        source_key=video.job.source_key if video.job else video.source_key,
    )


def _forget_encounter(encounter: Encounter) -> None:
    """What is left of an encounter: its reference, whose it was among the staff, and when what happened.

    A patient of whom nothing else is kept is forgotten altogether.
    """
    patient = Patient.objects.select_for_update(of=["self"]).filter(encounters=encounter).first()
    Encounter.objects.filter(pk=encounter.pk).update(
        erased_at=timezone.now(), patient=None, what_to_film="", description=""
    )
    encounter.holds.update(reason="")
    encounter.consents.update(proxy_name="")
    if patient and not patient.encounters.exists():
        patient.delete()
