"""Pages of the clinician."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

import segno
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from encounters import consents, encounters, invitations, playback
from encounters.callers import staff
from encounters.encounters import ReasonNeeded
from encounters.forms import EncounterForm, ReasonForm
from encounters.models import Channel, Encounter, EncounterState, Invitation, Verb, Video, VideoState
from encounters.views.find import sought
from encounters.views.keeping import card_context, erased_page, keeping
from transcoding.http import HtmxRequest
from transcoding.live import open_stream

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
    state, text = request.GET.get("state", ""), sought(request)
    if text:
        rows = rows.found_by(text, request.user.teams.values_list("pk", flat=True))
    if state in EncounterState.values:
        rows = rows.in_state(EncounterState(state))
    research = request.GET.get("research") == "1"
    if research:
        rows = rows.for_research()
    rows = rows.with_counts().order_by("-opened_at", "-pk")
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    find = request.GET.get("find", "") if text else ""
    kept = ({"find": find} if find else {}) | ({"research": "1"} if research else {})
    context = {
        "page": page,
        "state": state,
        "states": EncounterState.choices,
        "sought": text,
        "find": find,
        "research": research,
        "kept": urlencode(kept),
        "query": urlencode({"state": state} | kept),
    }
    template = "encounters/worklist.html#rows" if request.htmx else "encounters/worklist.html"
    return render(request, template, context)


@require_http_methods(["GET", "POST"])
def encounter_new(request: StaffRequest) -> HttpResponse:
    if request.user.is_admin:
        raise Http404
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


def own_encounter(request: StaffRequest, reference: str) -> Encounter:
    """One of the user's teams': to act on."""
    visible = Encounter.objects.visible_to(request.user).with_counts()
    return get_object_or_404(visible, reference=reference)


def find_encounter(request: StaffRequest, reference: str) -> Encounter:
    """One to look at. Raises `ReasonNeeded`: an admin has to state why first."""
    readable = Encounter.objects.readable_by(request.user).with_counts()
    if request.user.is_admin and not readable.filter(reference=reference).exists():
        get_object_or_404(Encounter, reference=reference, erased_at=None)
        raise ReasonNeeded
    return get_object_or_404(readable, reference=reference)


@require_GET
def encounter_detail(request: StaffRequest, reference: str) -> HttpResponse:
    """The page; asked for by htmx, the cards of the videos that the page does not know yet."""
    try:
        encounter = find_encounter(request, reference)
    except ReasonNeeded:
        return _ask_why(request, reference, ReasonForm())
    except Http404:
        if page := erased_page(request, reference):
            return page
        raise
    details = _details(request, encounter)
    if request.htmx:
        known = [pk for pk in request.GET.getlist("known") if _is_uuid(pk)]
        details |= {"videos": details["videos"].exclude(pk__in=known), "known": known}
        return render(request, "encounters/encounter_detail.html#arrivals", details)
    staff(request).record(Verb.ENCOUNTER_VIEWED, encounter=encounter)
    return render(request, "encounters/encounter_detail.html", details)


def _ask_why(request: StaffRequest, reference: str, form: ReasonForm) -> HttpResponse:
    context = {"reference": reference, "form": form}
    return render(request, "encounters/encounter_reason.html", context, status=ReasonNeeded.status)


@require_POST
def encounter_open(request: StaffRequest, reference: str) -> HttpResponse:
    """An admin states why they look."""
    if not request.user.is_admin:
        raise Http404
    encounter = get_object_or_404(Encounter, reference=reference, erased_at=None)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _ask_why(request, reference, form)
    encounters.open_with_reason(
        caller=staff(request), encounter=encounter, reason=form.cleaned_data["reason"]
    )
    return redirect("encounter", reference)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _details(request: StaffRequest, encounter: Encounter) -> dict[str, Any]:
    links = list(encounter.invitations.select_related("created_by"))
    opened = encounter.access_records.filter(verb=Verb.OPENED_WITH_REASON).select_related("user")
    return {
        "encounter": encounter,
        "may_act": not request.user.is_admin,
        "opened": opened.order_by("-number")[:3],
        "videos": encounter.videos.shown().with_job().order_by("-created_at"),
        **keeping(encounter),
        "invitations": links,
        "language": links[0].language if links else settings.LANGUAGE_CODE,
        "has_sms": settings.SMS_CARRIER != "none",
        "consents": consents.overview(encounter),
    }


@require_POST
def invitation_new(request: StaffRequest, reference: str) -> HttpResponse:
    """Make a link and show it, this once: it is stored nowhere, so the answer is no redirect."""
    encounter = own_encounter(request, reference)
    channel, language = request.POST.get("channel"), request.POST.get("language")
    invitation, link = invitations.issue(
        caller=staff(request),
        encounter=encounter,
        channel=Channel(channel) if channel in Channel.values else Channel.SCREEN,
        language=language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE,
    )
    return _show_link(request, reference, invitation, link)


@require_POST
def invitation_resend(request: StaffRequest, reference: str, pk: int) -> HttpResponse:
    encounter = own_encounter(request, reference)
    earlier = get_object_or_404(Invitation, pk=pk, encounter=encounter)
    invitation, link = invitations.send_again(caller=staff(request), invitation=earlier)
    return _show_link(request, reference, invitation, link)


def _show_link(request: StaffRequest, reference: str, invitation: Invitation, link: str) -> HttpResponse:
    code = segno.make(link, error="m").svg_data_uri(border=2, dark="#10201f", light="#ffffff")
    context = {
        **_details(request, own_encounter(request, reference)),
        "link": link,
        "qr_code": code,
        "new": invitation,
    }
    template = "encounters/encounter_detail.html#link" if request.htmx else "encounters/encounter_detail.html"
    return render(request, template, context)


@require_POST
def invitation_revoke(request: StaffRequest, reference: str, pk: int) -> HttpResponse:
    encounter = own_encounter(request, reference)
    invitation = get_object_or_404(Invitation, pk=pk, encounter=encounter)
    invitations.revoke(caller=staff(request), invitation=invitation)
    messages.success(request, "The link no longer works.")
    return redirect("encounter", reference)


@require_POST
def encounter_review(request: StaffRequest, reference: str) -> HttpResponse:
    encounter = own_encounter(request, reference)
    if request.POST.get("undo"):
        encounters.mark_unreviewed(caller=staff(request), encounter=encounter)
    else:
        encounters.mark_reviewed(caller=staff(request), encounter=encounter)
    return redirect("encounter", reference)


def find_video(request: StaffRequest, pk: UUID) -> Video:
    """One to look at. Raises `ReasonNeeded`."""
    readable = Video.objects.readable_by(request.user).with_job()
    if request.user.is_admin and not readable.filter(pk=pk).exists():
        get_object_or_404(Video, pk=pk, encounter__erased_at=None)
        raise ReasonNeeded
    return get_object_or_404(readable, pk=pk)


@require_GET
def video_detail(request: StaffRequest, pk: UUID) -> HttpResponse:
    """The page of one video; asked for by htmx, its card alone."""
    video = find_video(request, pk)
    if request.htmx:
        return render(request, "encounters/video_detail.html#card", card_context(request, video))
    staff(request).record(Verb.ENCOUNTER_VIEWED, encounter=video.encounter, video=video)
    return render(request, "encounters/video_detail.html", card_context(request, video))


@require_GET
def video_play(request: StaffRequest, pk: UUID) -> HttpResponse:
    return redirect(playback.play_url(caller=staff(request), video=find_video(request, pk)))


@require_GET
async def video_live(request: StaffRequest, pk: UUID) -> HttpResponseBase:
    """The video while it waits or converts: one MP4, as fast as it can be made."""

    def find() -> str | None:
        video = find_video(request, pk)
        if video.state == VideoState.READY:
            return None
        return playback.live_key(caller=staff(request), video=video)

    key = await sync_to_async(find)()
    if key is None:
        return redirect("video_play", pk)
    content = await open_stream(key, may_go_on=lambda: playback.is_shown(pk))
    headers = {"Cache-Control": "private, no-store", "Accept-Ranges": "none"}
    return StreamingHttpResponse(content, content_type="video/mp4", headers=headers)


@require_GET
def video_poster(request: StaffRequest, pk: UUID) -> HttpResponse:
    return redirect(playback.poster_url(video=find_video(request, pk)))
