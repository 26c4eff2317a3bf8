"""What holds for every request of staff: sessions that end, and a second factor."""

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import sync_only_middleware
from django_htmx.http import HttpResponseClientRedirect

from portal.accounts import factors

GetResponse = Callable[[HttpRequest], HttpResponse]
SESSION_KEY = "staff"
NOTED_EVERY = 60
"""Seconds between two notes of when somebody was last active."""

TO_PROVE = {"mfa_reauthenticate", "mfa_reauthenticate_webauthn", "account_logout"}
TO_SET_UP = {
    "account_logout",
    "account_reauthenticate",
    "mfa_index",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "mfa_list_webauthn",
}


@sync_only_middleware
def end_old_sessions(get_response: GetResponse) -> GetResponse:
    """Sign out whoever did nothing for a while, or signed in too long ago. A page that polls does nothing."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            _note(request)
        return get_response(request)

    return middleware


def _note(request: HttpRequest) -> None:
    now = time.time()
    known = request.session.get(SESSION_KEY) or {"since": now, "active": 0}
    is_new = not known["active"]
    idle, age = now - known["active"], now - known["since"]
    if not is_new and (idle > settings.STAFF_IDLE_MINUTES * 60 or age > settings.STAFF_SESSION_HOURS * 3600):
        logout(request)
        return
    polls = request.method == "GET" and "HX-Request" in request.headers
    if is_new or (idle > NOTED_EVERY and not polls):
        request.session[SESSION_KEY] = {**known, "active": now}


class SecondFactor:
    """Where one is demanded, who has not given a second factor can only set one up or give it.

    To pages that are open to everybody they are a stranger: the upload API tells staff by themselves.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Callable[..., Any], *args: Any) -> HttpResponse | None:
        if not (settings.MFA_REQUIRED and request.user.is_authenticated) or factors.is_given(request):
            return None
        is_set_up = factors.is_set_up(request.user)
        name = request.resolver_match.view_name if request.resolver_match else ""
        if name in (TO_PROVE if is_set_up else TO_SET_UP):
            return None
        if not getattr(view, "login_required", True):
            request.user = AnonymousUser()
            return None
        way = reverse("mfa_reauthenticate" if is_set_up else "mfa_index")
        return HttpResponseClientRedirect(way) if "HX-Request" in request.headers else redirect(way)
