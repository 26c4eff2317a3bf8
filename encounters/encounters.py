"""What staff do with an encounter."""

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone
from django_q.tasks import async_task

from encounters.callers import Caller
from encounters.models import Encounter, Patient, Verb
from transcoding.errors import PortalError

if TYPE_CHECKING:
    from portal.accounts.models import Team


@transaction.atomic
def open_encounter(*, caller: Caller, team: "Team", patient: Patient, what_to_film: str) -> Encounter:
    """Save the patient, and open an encounter for them."""
    assert caller.user is not None  # noqa: S101 - only staff get here
    patient.team = team
    patient.save()
    encounter = Encounter.objects.create(
        team=team, patient=patient, created_by=caller.user, what_to_film=what_to_film
    )
    caller.record(Verb.ENCOUNTER_CREATED, encounter=encounter)
    return encounter


@transaction.atomic
def mark_reviewed(*, caller: Caller, encounter: Encounter) -> None:
    """The clinician has seen what there is. Twice is once."""
    unreviewed = Encounter.objects.filter(pk=encounter.pk, reviewed_at__isnull=True)
    if unreviewed.update(reviewed_at=timezone.now()):
        caller.record(Verb.ENCOUNTER_REVIEWED, encounter=encounter)


@transaction.atomic
def mark_unreviewed(*, caller: Caller, encounter: Encounter) -> None:
    """Undo `mark_reviewed`."""
    reviewed = Encounter.objects.filter(pk=encounter.pk, reviewed_at__isnull=False)
    if reviewed.update(reviewed_at=None):
        caller.record(Verb.ENCOUNTER_REVIEWED, encounter=encounter, reason="undone")


class ReasonNeeded(PortalError):
    code = "reason_needed"
    message = "Administrators see patients and videos only after stating why, on the encounter's own page."
    status = 403


@transaction.atomic
def open_with_reason(*, caller: Caller, encounter: Encounter, reason: str) -> None:
    """Let an admin look at this encounter for a while, and let its team know who looked, and why."""
    async_task("encounters.notices.tell_of_opening", encounter.reference, group="notice")
    caller.record(Verb.OPENED_WITH_REASON, encounter=encounter, reason=reason)
