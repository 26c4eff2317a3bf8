"""What members of staff do with their own account, beyond what allauth offers."""

from typing import NoReturn

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from encounters.callers import staff
from encounters.models import Verb
from portal.accounts import factors, sessions


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    context = {
        "has_factor": factors.is_set_up(request.user),
        "factors": Authenticator.objects.filter(user_id=request.user.pk, type__in=factors.FACTORS).count(),
        "sessions": len(UserSession.objects.purge_and_list(request.user)),
    }
    return render(request, "account/home.html", context)


@require_POST
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End each session of this person, on whatever machine, this one last."""
    with transaction.atomic():
        sessions.end_all(request.user.pk)
        staff(request).record(Verb.SESSIONS_ENDED)
    logout(request)
    return redirect("account_login")


@login_not_required
def no_such_page(request: HttpRequest) -> NoReturn:
    """allauth has pages for registering and for changing one's address; here an admin does both."""
    raise Http404
