"""Pages of the clinician."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

import segno
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from encounters import encounters, invitations, playback
from encounters.callers import staff
from encounters.forms import EncounterForm
from encounters.models import Channel, Encounter, EncounterState, Invitation, Verb, Video
from transcoding.http import HtmxRequest

if TYPE_CHECKING:
    from portal.accounts.models import User

PAGE_SIZE = 50


class StaffRequest(HtmxRequest):
    user: "User"


@require_GET
def worklist(request: StaffRequest) -> HttpResponse:
    if request.user.is_admin:
        return redirect("conversions")
    rows = Encounter.objects.visible_to(request.user)
    state = request.GET.get("state", "")
    if state in EncounterState.values:
        rows = rows.in_state(EncounterState(state))
    rows = rows.with_counts().order_by("-opened_at", "-pk")
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "state": state, "states": EncounterState.choices}
    template = "encounters/worklist.html#rows" if request.htmx else "encounters/worklist.html"
    return render(request, template, context)


@require_http_methods(["GET", "POST"])
def encounter_new(request: StaffRequest) -> HttpResponse:
    teams = request.user.teams.all()
    form = EncounterForm(request.POST or None, teams=teams)
    if request.method == "POST" and form.is_valid():
        encounter = encounters.open_encounter(
            caller=staff(request),
            team=form.cleaned_data["team"],
            patient=form.instance,
            what_to_film=form.cleaned_data["what_to_film"],
        )
        return redirect("encounter", encounter.reference)
    return render(request, "encounters/encounter_new.html", {"form": form, "teams": teams})


def find_encounter(request: StaffRequest, reference: str) -> Encounter:
    visible = Encounter.objects.visible_to(request.user).with_counts()
    return get_object_or_404(visible, reference=reference)


@require_GET
def encounter_detail(request: StaffRequest, reference: str) -> HttpResponse:
    """The page; asked for by htmx, the cards of the videos that the page does not know yet."""
    encounter = find_encounter(request, reference)
    details = _details(encounter)
    if request.htmx:
        known = [pk for pk in request.GET.getlist("known") if _is_uuid(pk)]
        details |= {"videos": details["videos"].exclude(pk__in=known), "known": known}
        return render(request, "encounters/encounter_detail.html#arrivals", details)
    staff(request).record(Verb.ENCOUNTER_VIEWED, encounter=encounter)
    return render(request, "encounters/encounter_detail.html", details)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _details(encounter: Encounter) -> dict[str, Any]:
    return {
        "encounter": encounter,
        "videos": encounter.videos.kept().with_job().order_by("-created_at"),
        "invitations": encounter.invitations.select_related("created_by"),
    }


@require_POST
def invitation_new(request: StaffRequest, reference: str) -> HttpResponse:
    """Make a link and show it, this once: it is stored nowhere, so the answer is no redirect."""
    encounter = find_encounter(request, reference)
    channel = Channel.EMAIL if request.POST.get("channel") == Channel.EMAIL else Channel.SCREEN
    link = invitations.invite(caller=staff(request), encounter=encounter, channel=channel)
    code = segno.make(link, error="m").svg_data_uri(border=2, dark="#10201f", light="#ffffff")
    context = {
        **_details(find_encounter(request, reference)),
        "link": link,
        "qr_code": code,
        "channel": channel,
    }
    template = "encounters/encounter_detail.html#link" if request.htmx else "encounters/encounter_detail.html"
    return render(request, template, context)


@require_POST
def invitation_revoke(request: StaffRequest, reference: str, pk: int) -> HttpResponse:
    encounter = find_encounter(request, reference)
    invitation = get_object_or_404(Invitation, pk=pk, encounter=encounter)
    invitations.revoke(caller=staff(request), invitation=invitation)
    messages.success(request, "The link no longer works.")
    return redirect("encounter", reference)


@require_POST
def encounter_review(request: StaffRequest, reference: str) -> HttpResponse:
    encounter = find_encounter(request, reference)
    if request.POST.get("undo"):
        encounters.mark_unreviewed(caller=staff(request), encounter=encounter)
    else:
        encounters.mark_reviewed(caller=staff(request), encounter=encounter)
    return redirect("encounter", reference)


def _video(request: StaffRequest, pk: UUID) -> Video:
    return get_object_or_404(Video.objects.visible_to(request.user).with_job(), pk=pk)


@require_GET
def video_detail(request: StaffRequest, pk: UUID) -> HttpResponse:
    """The page of one video; asked for by htmx, its card alone."""
    video = _video(request, pk)
    if request.htmx:
        return render(request, "encounters/video_detail.html#card", {"video": video})
    return render(request, "encounters/video_detail.html", {"video": video, "encounter": video.encounter})


@require_GET
def video_play(request: StaffRequest, pk: UUID) -> HttpResponse:
    return redirect(playback.play_url(caller=staff(request), video=_video(request, pk)))


@require_GET
def video_poster(request: StaffRequest, pk: UUID) -> HttpResponse:
    return redirect(playback.poster_url(video=_video(request, pk)))
