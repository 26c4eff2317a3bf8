"""The end of a job: nothing more is made of it, and nothing of it is left in the store.

Who decides that, and when, is not our business here.
"""

import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Value, When
from django.utils import timezone

from transcoding.engine import keys
from transcoding.engine.store import StoreError
from transcoding.models import (
    AttemptOutcome,
    Extras,
    Rendition,
    Runner,
    Status,
    TranscodeAttempt,
    TranscodeJob,
)
from transcoding.store import OpenUpload, StoredVersion, object_store

SEAL = re.compile(r"\.sealed-[0-9a-f]{32}(?=\.)")


class StillThere(StoreError):
    """The store was asked to remove something, said yes, and lists it all the same."""

    def __init__(self) -> None:
        super().__init__("list_object_versions", "StillThere")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where objects lie that are to be erased: all under `prefix`, but what belongs to somebody else."""

    prefix: str
    others: frozenset[str] = frozenset()
    """Sources of other jobs that begin alike, and what was made of them."""

    def has(self, key: str) -> bool:
        return key.startswith(self.prefix) and not any(self._is_of(other, key) for other in self.others)

    def _is_of(self, other: str, key: str) -> bool:
        made = f"{keys.stem(other)}."
        return key == other or (made != self.prefix and key.startswith(made))


def place_of(source_key: str) -> Place:
    """Of one original and of all that was ever made of it, known to us or not."""
    prefix = f"{keys.stem(source_key)}."
    others = TranscodeJob.objects.filter(source_key__startswith=prefix).exclude(source_key=source_key)
    return Place(prefix=prefix, others=frozenset(others.values_list("source_key", flat=True)))


@transaction.atomic
def bar(jobs: Collection[TranscodeJob]) -> None:
    """Stop what is done to these jobs, and let nothing begin again. Twice is once.

    A worker notices at its next heartbeat, and closes its attempt when it has let go.
    """
    now = timezone.now()
    ours = TranscodeJob.objects.filter(pk__in=[job.pk for job in jobs], barred_at__isnull=True)
    unfinished = [Status.QUEUED, Status.RUNNING]
    ours.update(
        barred_at=now,
        status=Case(When(status__in=unfinished, then=Value(Status.CANCELLED)), default=F("status")),
        finished_at=Case(When(status__in=unfinished, then=Value(now)), default=F("finished_at")),
        extras=Case(
            When(extras__in=[Extras.RUNNING, Extras.WAITING], then=Value(Extras.LOST)), default=F("extras")
        ),
        lease_expires_at=None,
    )


def let_go(attempt: TranscodeAttempt) -> None:
    """A worker says that it does nothing more for a job that was barred under its hands."""
    if TranscodeJob.objects.filter(pk=attempt.job_id, barred_at__isnull=False).exists():
        attempt.close(AttemptOutcome.CANCELLED)


def is_at_rest(job: TranscodeJob) -> bool:
    """Whether nobody can still be putting anything into the store for a job that is barred.

    A worker that does not say so is given the time in which it would have noticed.
    """
    at_work = TranscodeAttempt.objects.filter(job=job, outcome=AttemptOutcome.RUNNING)
    for attempt in at_work:
        patience = _patience(Runner(attempt.runner))
        if job.barred_at is None or job.barred_at + patience > timezone.now():
            return False
        attempt.close(AttemptOutcome.CANCELLED, detail="It was stopped, and never said that it had.")
    return True


def _patience(runner: Runner) -> timedelta:
    return timedelta(
        seconds=settings.LAMBDA_LEASE_SECONDS if runner == Runner.LAMBDA else settings.LEASE_SECONDS
    )


def hide(jobs: Iterable[TranscodeJob]) -> None:
    """Remove what can be watched, so that addresses which are signed already lead nowhere.

    Raises `StoreError`.
    """
    store = object_store()
    for made in Rendition.objects.filter(job__in=list(jobs)):
        store.delete(made.object_key)


def seal(jobs: Iterable[TranscodeJob]) -> None:
    """Give what can be watched a name that nobody knows: it is kept, but signed addresses lead nowhere.

    What was sealed before stays so; what a crash left of it is finished. Raises `StoreError`.
    """
    store = object_store()
    for made in Rendition.objects.filter(job__in=list(jobs)).select_related("job"):
        stem, name = keys.stem(made.job.source_key), SEAL.sub("", made.object_key)
        if made.object_key == name and store.size(name) is not None:
            sealed = f"{stem}.sealed-{secrets.token_hex(16)}{name[len(stem) :]}"
            store.copy(name, sealed)
            if not Rendition.objects.filter(pk=made.pk, object_key=name).update(object_key=sealed):
                store.delete(sealed)
        if store.size(name) is not None:
            store.delete(name)


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What lies at a place."""

    versions: list[StoredVersion]
    uploads: list[OpenUpload]

    def __bool__(self) -> bool:
        return bool(self.versions or self.uploads)


def inventory(place: Place) -> Inventory:
    """Every version, delete marker and unfinished upload. Raises `StoreError`."""
    store = object_store()
    return Inventory(
        versions=[found for found in store.versions(place.prefix) if place.has(found.key)],
        uploads=[found for found in store.open_uploads(place.prefix) if place.has(found.key)],
    )


def empty(place: Place) -> None:
    """Remove all that lies there, and see that it is gone. Raises `StoreError`, `StillThere`."""
    store, found = object_store(), inventory(place)
    for upload in found.uploads:
        store.abort(upload.key, upload.upload_id)
    # What can be watched goes first, and behind a marker, so that no older version shows meanwhile.
    shown = {one.key for one in found.versions if one.is_latest and not one.is_marker}
    for key in sorted(shown, key=lambda key: (keys.is_source(key), key)):
        store.delete(key)
    for one in sorted(inventory(place).versions, key=lambda one: one.is_marker):
        store.delete_version(one.key, one.version_id)
    if inventory(place):
        raise StillThere


@transaction.atomic
def forget(job: TranscodeJob) -> None:
    """Keep what says how the conversion went, and nothing of what the film was."""
    job.renditions.all().delete()
    job.attempts.update(log_tail="", detail="")
    TranscodeJob.objects.filter(pk=job.pk).update(
        facts={}, failure_detail="", erased_at=timezone.now(), source_key=_nameless(job.source_key)
    )


def _nameless(source_key: str) -> str:
    """Keys that we made say nothing; one that somebody else chose may name the patient."""
    folder, _, name = source_key.partition("/")
    if keys.is_random(name):
        return source_key
    return f"{folder}/{secrets.token_hex(20)}.{name.rpartition('.')[2].lower()}"
