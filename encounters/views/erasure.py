"""Pages about the end of videos: keeping, holding, withdrawing, deleting, and what became of it."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.formats import date_format
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from encounters import erasure, holds, retention
from encounters.callers import staff
from encounters.disposal import Erasure, ErasureProof
from encounters.forms import HoldForm, KeepForm
from encounters.models import Video
from encounters.views.keeping import card_context
from encounters.views.staff import StaffRequest, own_encounter
from transcoding.http import HtmxRequest
from transcoding.views import admins_only

PAGE_SIZE = 50


@require_http_methods(["GET", "POST"])
def encounter_withdraw(request: StaffRequest, reference: str) -> HttpResponse:
    """Staff put down that consent was withdrawn: asked once more, since there is no way back."""
    encounter = own_encounter(request, reference)
    if request.method == "POST":
        erasure.withdraw(caller=staff(request), encounter=encounter)
        messages.success(request, "Withdrawn. Nothing of it can be watched any more.")
        return redirect("encounter", reference)
    context = {"encounter": encounter, "is_held": holds.is_held(encounter)}
    return render(request, "encounters/encounter_withdraw.html", context)


@require_POST
def encounter_keep(request: StaffRequest, reference: str) -> HttpResponse:
    encounter = own_encounter(request, reference)
    form = KeepForm(request.POST)
    if not form.is_valid():
        for error in form.errors["until"]:
            messages.error(request, str(error))
        return redirect("encounter", reference)
    until = form.cleaned_data["until"]
    retention.keep(caller=staff(request), encounter=encounter, until=until)
    said = f"until {date_format(until, 'j F Y')}" if until else "as long as the team's others"
    messages.success(request, f"Kept {said}.")
    return redirect("encounter", reference)


@require_POST
def encounter_hold(request: StaffRequest, reference: str) -> HttpResponse:
    encounter = own_encounter(request, reference)
    form = HoldForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Please say in a sentence why nothing may be erased.")
        return redirect("encounter", reference)
    begun = holds.hold(caller=staff(request), encounter=encounter, reason=form.cleaned_data["reason"])
    messages.success(request, "Held. Nothing of this encounter is erased until somebody releases it.")
    if begun:
        messages.error(request, "An erasure had begun before. What it has removed cannot be brought back.")
    return redirect("encounter", reference)


@require_POST
def encounter_release(request: StaffRequest, reference: str) -> HttpResponse:
    holds.release(caller=staff(request), encounter=own_encounter(request, reference))
    messages.success(request, "Released.")
    return redirect("encounter", reference)


def _own_video(request: StaffRequest, pk: UUID) -> Video:
    return get_object_or_404(Video.objects.visible_to(request.user).with_job(), pk=pk)


@require_POST
def video_delete(request: StaffRequest, pk: UUID) -> HttpResponse:
    """Take a video away; `undo` brings it back within a day."""
    video = _own_video(request, pk)
    act = erasure.undo if request.POST.get("undo") else erasure.delete
    act(caller=staff(request), video=video)
    if request.htmx:
        context = card_context(request, _own_video(request, pk))
        return render(request, "encounters/video_detail.html#card", context)
    return redirect("encounter", video.encounter.reference)


@require_GET
@admins_only
def erasures(request: HtmxRequest) -> HttpResponse:
    proofs = ErasureProof.objects.select_related("encounter")
    context = {
        "trouble": Erasure.objects.in_trouble().with_encounter(),
        "held": Erasure.objects.open().held().with_encounter(),
        "waiting": Erasure.objects.open().filter(trouble="").not_held().with_encounter(),
        "page": Paginator(proofs, PAGE_SIZE).get_page(request.GET.get("page")),
    }
    template = "encounters/erasures.html"
    return render(request, f"{template}#open" if request.htmx else template, context)


@require_POST
@admins_only
def erasure_retry(request: StaffRequest, pk: int) -> HttpResponse:
    """Try again now instead of when it is due."""
    erasure.try_now(caller=staff(request), erasure=get_object_or_404(Erasure, pk=pk))
    messages.success(request, "It is tried again now.")
    return redirect("erasures")
