"""Texts that a clinic writes itself: an admin's pages."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from encounters import messages as outgoing
from encounters import wordings
from encounters.callers import staff
from encounters.messages import Text
from encounters.models import Channel, Consent
from encounters.text_forms import MessageForm, WordingForm
from encounters.views.staff import StaffRequest


def _teams(request: StaffRequest) -> Any:
    """Every team, for an admin; nothing for anybody else."""
    if not request.user.is_admin:
        raise Http404
    return apps.get_model("accounts", "Team").objects.all()


@require_GET
def texts(request: StaffRequest) -> HttpResponse:
    return render(request, "encounters/texts.html", {"teams": _teams(request)})


@require_http_methods(["GET", "POST"])
def consent_texts(request: StaffRequest, code: str) -> HttpResponse:
    team = get_object_or_404(_teams(request), code=code)
    current = {language: wordings.current(team, language) for language, _ in settings.LANGUAGES}
    form = WordingForm(request.POST or None, current=current)
    if request.method == "POST" and form.is_valid():
        added = wordings.add_version(caller=staff(request), team=team, texts=form.texts)
        messages.success(request, f"Patients are asked in this wording from now on: {added[0].version}.")
        return redirect("consent_texts", code)
    agreed = Consent.objects.filter(encounter__team=team).values("version").annotate(count=Count("pk"))
    context = {
        "team": team,
        "form": form,
        "version": current[settings.LANGUAGE_CODE].version,
        "agreed": agreed.order_by("-version"),
    }
    return render(request, "encounters/consent_texts.html", context)


@require_http_methods(["GET", "POST"])
def message_texts(request: StaffRequest, code: str) -> HttpResponse:
    """One form for each message and language; saving one leaves what stands in the others unsaved alone."""
    team = get_object_or_404(_teams(request), code=code)
    given = MessageForm(request.POST, prefix=request.POST.get("form")) if request.method == "POST" else None
    if given and given.is_valid() and "preview" not in request.POST:
        outgoing.change_text(caller=staff(request), team=team, **_as_saved(given.cleaned_data))
        messages.success(request, "Saved. The next message says this.")
        return redirect("message_texts", code)
    rows = [
        _message(team, channel, language, name, given)
        for channel in outgoing.CHANNELS
        for language, name in settings.LANGUAGES
    ]
    context = {"team": team, "rows": rows}
    return render(request, "encounters/message_texts.html", context)


def _as_saved(cleaned: dict[str, Any]) -> dict[str, Any]:
    """Words that are the shipped ones are no words of the team's own."""
    channel, language = Channel(cleaned["channel"]), cleaned["language"]
    shipped = outgoing.shipped(channel, language)
    is_shipped = (cleaned["subject"], cleaned["body"].strip()) == (shipped.subject, shipped.body.strip())
    return {**cleaned, "channel": channel, "body": "" if is_shipped else cleaned["body"]}


def _message(
    team: Any, channel: Channel, language: str, name: str, given: MessageForm | None
) -> dict[str, Any]:
    text = outgoing.text_for(team, channel, language)
    prefix = f"{channel}-{language}"
    form = MessageForm(
        prefix=prefix,
        initial={"channel": channel, "language": language, "subject": text.subject, "body": text.body},
    )
    if given is not None and given.prefix == prefix:
        form = given
        if given.is_valid():
            body = given.cleaned_data["body"]
            text = Text(subject=given.cleaned_data["subject"], body=body) if body else text
    preview = text.filled(outgoing.sample(language))
    return {
        "form": form,
        "prefix": prefix,
        "title": f"{channel.label.capitalize()}, {name}",
        "language": language,
        "subject": text.subject,
        "preview": preview,
        "is_own": outgoing.text_for(team, channel, language).is_own,
        "segments": outgoing.segments(preview) if channel == Channel.SMS else None,
    }
