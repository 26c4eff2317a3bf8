"""The second factor: which session gave one."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_used
from django.dispatch import receiver
from django.http import HttpRequest

from portal.accounts.models import User

SESSION_KEY = "second_factor"
FACTORS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]


def is_given(request: HttpRequest) -> bool:
    """Whether this very session proved a second factor, when it began or since."""
    return bool(request.session.get(SESSION_KEY) == request.user.pk)


def is_set_up(user: Any) -> bool:
    return bool(Authenticator.objects.filter(user=user, type__in=FACTORS).exists())


@receiver([authenticator_used, authenticator_added])
def on_given(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Setting one up proves it too: the app's code or the key's signature is checked."""
    request.session[SESSION_KEY] = user.pk


@receiver(authenticator_removed)
def on_removed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    if not is_set_up(user):
        request.session.pop(SESSION_KEY, None)
