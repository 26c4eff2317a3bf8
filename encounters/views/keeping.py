"""What the pages of an encounter say about its end."""

from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from encounters import holds, retention
from encounters.forms import HoldForm, KeepForm
from encounters.models import Encounter, Video

if TYPE_CHECKING:
    from encounters.views.staff import StaffRequest


def card_context(request: "StaffRequest", video: Video) -> dict[str, Any]:
    return {
        "video": video,
        "encounter": video.encounter,
        "may_act": not request.user.is_admin,
        "hold": holds.active(video.encounter),
    }


def keeping(encounter: Encounter) -> dict[str, Any]:
    """What the encounter's page says about its end."""
    until = retention.keep_until(encounter)
    return {
        "keep_until": until,
        "is_over_soon": until is not None and (until - timezone.localdate()).days < retention.SOON_DAYS,
        "hold": holds.active(encounter),
        "keep_form": KeepForm(initial={"until": encounter.retain_until}),
        "hold_form": HoldForm(),
    }


def erased_page(request: "StaffRequest", reference: str) -> HttpResponse | None:
    """For the team whose it was, and for admins: what was erased when and why. Nothing of the patient."""
    erased = Encounter.objects.filter(reference=reference, erased_at__isnull=False)
    if not request.user.is_admin:
        erased = erased.filter(team__in=request.user.teams.all())
    encounter = erased.select_related("team", "created_by").first()
    if encounter is None:
        return None
    context = {"encounter": encounter, "proofs": encounter.proofs.all()}
    return render(request, "encounters/encounter_erased.html", context, status=410)
