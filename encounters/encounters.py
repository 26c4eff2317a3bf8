"""What staff do with an encounter."""

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from encounters.callers import Caller
from encounters.models import Encounter, Patient, Verb

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
