"""Legal holds: what nobody may erase, why, and on whose word."""

from django.db import transaction
from django.utils import timezone
from django_q.tasks import async_task

from encounters import gate
from encounters.callers import Caller
from encounters.disposal import Erasure, LegalHold
from encounters.models import Encounter, Verb


def is_held(encounter: Encounter) -> bool:
    return encounter.holds.filter(released_at__isnull=True).exists()


def active(encounter: Encounter) -> LegalHold | None:
    return encounter.holds.filter(released_at__isnull=True).select_related("placed_by").first()


@transaction.atomic
def hold(*, caller: Caller, encounter: Encounter, reason: str) -> int:
    """Keep all of it until the hold is released. Twice is once.

    Gives the number of erasures that had begun before: what they have removed already is not kept.
    Raises `gate.TooLate` if nothing is left.
    """
    assert caller.user is not None  # noqa: S101 - only staff get here
    if Encounter.objects.select_for_update(no_key=True).get(pk=encounter.pk).erased_at:
        raise gate.TooLate
    if not is_held(encounter):
        LegalHold.objects.create(encounter=encounter, reason=reason, placed_by=caller.user)
        caller.record(Verb.HOLD_PLACED, encounter=encounter)
    return Erasure.objects.open().filter(encounter=encounter, begun_at__isnull=False).count()


@transaction.atomic
def release(*, caller: Caller, encounter: Encounter) -> None:
    """Let erasures go on where they waited for it. Twice is once."""
    Encounter.objects.select_for_update(no_key=True).get(pk=encounter.pk)
    unreleased = encounter.holds.filter(released_at__isnull=True)
    if unreleased.update(released_by=caller.user, released_at=timezone.now()):
        for erasure in Erasure.objects.open().filter(encounter=encounter, not_before__lte=timezone.now()):
            async_task("encounters.erasure.erase", erasure.pk, group="erase")
        caller.record(Verb.HOLD_RELEASED, encounter=encounter)
