"""What staff do to accounts, written among the access records: sign-ins, second factors, changes of staff."""

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from django.contrib.auth import signals as auth
from django.dispatch import receiver
from django.http import HttpRequest

from encounters.callers import Caller, address_of
from encounters.models import Verb
from portal.accounts.models import User


def record(request: HttpRequest | None, verb: Verb, user: User | None, reason: str = "") -> None:
    Caller(user=user, address=address_of(request) if request else None).record(verb, reason=reason)


@receiver(account.user_logged_in)
def on_signed_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    record(request, Verb.SIGNED_IN, user)


@receiver(auth.user_logged_out)
def on_signed_out(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        record(request, Verb.SIGNED_OUT, user)


@receiver(auth.user_login_failed)
def on_wrong_password(credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    """The address that was typed is not kept: people type passwords into the wrong field."""
    user = User.objects.filter(email=str(credentials.get("email", "")).lower()).first()
    record(request, Verb.SIGN_IN_FAILED, user, "password")


@receiver(mfa.authentication_failed)
def on_wrong_code(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    record(request, Verb.SIGN_IN_FAILED, user, authenticator.get_type_display())


@receiver([account.password_changed, account.password_set, account.password_reset])
def on_password(request: HttpRequest, user: User, **kwargs: Any) -> None:
    record(request, Verb.PASSWORD_CHANGED, user)


@receiver(account.email_confirmed)
def on_email_verified(request: HttpRequest, email_address: Any, **kwargs: Any) -> None:
    record(request, Verb.EMAIL_VERIFIED, email_address.user)


@receiver([mfa.authenticator_added, mfa.authenticator_reset])
def on_factor_added(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    record(request, Verb.SECOND_FACTOR_ADDED, user, authenticator.get_type_display())


@receiver(mfa.authenticator_removed)
def on_factor_removed(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    record(request, Verb.SECOND_FACTOR_REMOVED, user, authenticator.get_type_display())
