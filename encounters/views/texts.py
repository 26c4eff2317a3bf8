"""Texts that a clinic writes itself: an admin's pages."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from encounters import wordings
from encounters.callers import staff
from encounters.models import Consent
from encounters.text_forms import WordingForm
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
