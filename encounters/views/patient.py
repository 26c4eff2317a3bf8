"""Pages of the patient: the link, the date of birth, consent, a description, videos, a receipt."""

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.i18n import set_language

from encounters import callers, consents, erasure, invitations, languages, uploads, wordings
from encounters.callers import Caller, LinkClosed, LinkNeeded
from encounters.forms import BirthDateForm, ConsentForm, DescriptionForm
from encounters.keys import CONTENT_TYPES
from encounters.models import Consent, Encounter, Invitation, Purpose, VideoQuerySet, VideoState
from encounters.wordings import Wording
from transcoding.http import HtmxRequest


def for_patient(view: Callable[..., HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Call the view with the patient of this session and their encounter, or ask for the link."""

    @login_not_required
    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        caller = callers.patient(request)
        assert caller.invitation is not None  # noqa: S101 - patient() gives no caller without
        return view(request, caller, caller.invitation.encounter)

    return wrapped


@login_not_required
@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Keep the language that the patient chose, and show the same page in it."""
    return set_language(request)


@login_not_required
@require_GET
def link(request: HttpRequest, token: str) -> HttpResponse:
    """Lead to a page whose address holds no token: what is shown, shared or photographed opens nothing."""
    invitation = Invitation.for_token(token)
    if invitation is None:
        raise LinkClosed if Invitation.was_withdrawn(token) else LinkNeeded
    callers.ask(request, invitation)
    response = redirect("patient_birth_date")
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@login_not_required
@require_http_methods(["GET", "POST"])
def birth_date(request: HttpRequest) -> HttpResponse:
    """Ask for the date of birth; show nothing about anybody before it."""
    invitation = callers.asked(request)
    form = BirthDateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if _is_patient(request, invitation, form):
            callers.let_in(request, invitation)
            response = redirect("patient_next")
            callers.make_known(request, response, invitation)
            return response
        form.add_error(None, gettext("That is not the date of birth we have. Please check it and try again."))
    return render(request, "encounters/patient_link.html", {"form": form})


def _is_patient(request: HttpRequest, invitation: Invitation, form: BirthDateForm) -> bool:
    caller = Caller(invitation=invitation, address=callers.address_of(request))
    given = form.cleaned_data["birth_date"]
    return invitations.check_birth_date(
        caller=caller, invitation=invitation, given=given, is_known=callers.is_known(request, invitation)
    )


@require_GET
@for_patient
def next_step(request: HttpRequest, caller: Caller, encounter: Encounter) -> HttpResponse:
    """Where this patient left off."""
    if not encounter.consented:
        return redirect("patient_consent")
    if encounter.submitted_at:
        return redirect("patient_receipt")
    has_begun = encounter.description or encounter.videos.exists()
    return redirect("patient_videos" if has_begun else "patient_description")


@require_http_methods(["GET", "POST"])
@for_patient
def consent(request: HttpRequest, caller: Caller, encounter: Encounter) -> HttpResponse:
    if encounter.consented:
        return redirect("patient_description")
    wording = wordings.current(encounter.team, get_language() or "")
    shown = request.POST.get("wording", wording.name)
    form = ConsentForm(request.POST if request.method == "POST" and shown == wording.name else None)
    if form.is_valid():
        consents.give(
            caller=caller,
            encounter=encounter,
            wording=wording,
            purposes=form.purposes,
            proxy=form.proxy,
        )
        return redirect("patient_description")
    context = {
        "form": form,
        "encounter": encounter,
        "wording": wording,
        "questions": [(form[purpose], *wording.parts(purpose)) for purpose in Purpose],
        "has_changed": shown != wording.name,
    }
    return render(request, "encounters/patient_consent.html", context)


@require_http_methods(["GET", "POST"])
@for_patient
def agreement(request: HttpRequest, caller: Caller, encounter: Encounter) -> HttpResponse:
    """What was agreed to, and a way to change one's mind about what is not needed."""
    if not encounter.consented:
        return redirect("patient_consent")
    wording = wordings.current(encounter.team, get_language() or "")
    shown = request.POST.get("wording", wording.name)
    if request.method == "POST" and shown == wording.name:
        _change_of_mind(request, caller, encounter, wording)
        return redirect("patient_agreement")
    context = {
        "encounter": encounter,
        "answers": [_answer(purpose, given, wording) for purpose, given in consents.overview(encounter)],
        "wording": wording,
        "has_changed": shown != wording.name,
    }
    return render(request, "encounters/patient_agreement.html", context)


def _answer(purpose: Purpose, given: Consent | None, wording: Wording) -> dict[str, object]:
    """What was said to one purpose, in the words of then; never asked or left out: in those of now."""
    statement, rest = (given.statement, given.rest) if given else wording.parts(purpose)
    return {
        "purpose": purpose,
        "consent": given,
        "stands": given is not None and given.withdrawn_at is None,
        "is_optional": purpose in consents.OPTIONAL,
        "statement": statement,
        "rest": rest,
        "language": given.language if given else wording.language,
    }


def _change_of_mind(request: HttpRequest, caller: Caller, encounter: Encounter, wording: Wording) -> None:
    """Do what the button says. A purpose that there is not, or that is needed, is left alone."""
    for purpose in consents.OPTIONAL:
        if request.POST.get("take_back") == purpose:
            consents.withdraw(caller=caller, encounter=encounter, purposes=[purpose])
            messages.success(request, gettext("That is taken back. Your clinic still has your videos."))
        elif request.POST.get("give") == purpose:
            consents.give_later(caller=caller, encounter=encounter, wording=wording, purpose=purpose)
            messages.success(request, gettext("Thank you. Your agreement is kept."))


@require_http_methods(["GET", "POST"])
@for_patient
def withdraw(request: HttpRequest, caller: Caller, encounter: Encounter) -> HttpResponse:
    """Say what taking everything back does, and do it when asked once more."""
    if not encounter.consented:
        return redirect("patient_consent")
    if request.method == "POST":
        erasure.withdraw(caller=caller, encounter=encounter)
        return redirect("patient_withdrawn")
    return render(request, "encounters/patient_withdraw.html", {"encounter": encounter})


@login_not_required
@require_GET
def withdrawn(request: HttpRequest) -> HttpResponse:
    """What the patient reads who took everything back."""
    if not callers.took_all_back(request):
        return redirect("patient_next")
    return render(request, "encounters/patient_withdrawn.html")


@require_http_methods(["GET", "POST"])
@for_patient
def description(request: HttpRequest, caller: Caller, encounter: Encounter) -> HttpResponse:
    if not encounter.consented:
        return redirect("patient_consent")
    form = DescriptionForm(request.POST or None, initial={"description": encounter.description})
    if request.method == "POST" and form.is_valid():
        text = form.cleaned_data["description"]
        invitations.describe(caller=caller, encounter=encounter, description=text)
        return redirect("patient_videos")
    return render(request, "encounters/patient_description.html", {"form": form, "encounter": encounter})


@require_GET
@for_patient
def videos(request: HttpRequest, caller: Caller, encounter: Encounter) -> HttpResponse:
    if not encounter.consented:
        return redirect("patient_consent")
    assert caller.invitation is not None  # noqa: S101 - for_patient() calls with none without
    context = {
        "encounter": encounter,
        "received": _received(encounter),
        "unfinished": uploads.unfinished(encounter),
        "expires_at": caller.invitation.expires_at,
        "max_bytes": settings.UPLOAD_MAX_BYTES,
        "extensions": " ".join(CONTENT_TYPES),
        "words": languages.words(get_language() or ""),
    }
    return render(request, "encounters/patient_videos.html", context)


@require_POST
@for_patient
def submit(request: HttpRequest, caller: Caller, encounter: Encounter) -> HttpResponse:
    if encounter.consented:
        invitations.submit(caller=caller, encounter=encounter)
    return redirect("patient_receipt")


@require_GET
@for_patient
def receipt(request: HtmxRequest, caller: Caller, encounter: Encounter) -> HttpResponse:
    videos = list(_received(encounter))
    context = {
        "encounter": encounter,
        "received": videos,
        "last_received_at": videos[-1].received_at if videos else None,
        "all_final": all(video.is_final for video in videos),
        "unfinished": encounter.videos.unfinished().exclude(upload_id="").count(),
        "some_failed": any(video.state == VideoState.FAILED for video in videos),
        "none_readable": bool(videos) and all(video.state == VideoState.FAILED for video in videos),
    }
    template = "encounters/patient_receipt.html"
    return render(request, f"{template}#list" if request.htmx else template, context)


def _received(encounter: Encounter) -> VideoQuerySet:
    return encounter.videos.received().select_related("job").with_seen().order_by("received_at")
