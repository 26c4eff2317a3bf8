"""How somebody becomes a member of staff: an admin enters them, and they choose a password by e-mail."""

from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress
from allauth.account.signals import password_reset
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.mail import send_mail
from django.dispatch import receiver
from django.template.loader import render_to_string
from django.urls import reverse

from portal.accounts.models import User

DAY = 24 * 3600


def invite(user: User) -> None:
    """Send a link by which this person, and nobody who lacks their mailbox, chooses a password."""
    way = {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
    context = {
        "user": user,
        "link": settings.BASE_URL + reverse("account_reset_password_from_key", kwargs=way),
        "days": settings.PASSWORD_RESET_TIMEOUT // DAY,
        "sign_in": settings.BASE_URL + reverse("account_login"),
    }
    text = render_to_string("account/email/invitation.txt", context)
    send_mail("Your account for clinic videos", text, None, [user.email])


def trust_address(user: User) -> None:
    """Whoever followed a link that went to this address reads its mail."""
    EmailAddress.objects.filter(user=user).exclude(email=user.email).delete()
    EmailAddress.objects.update_or_create(
        user=user, email=user.email, defaults={"primary": True, "verified": True}
    )


def forget_addresses(user: User) -> None:
    """The address was changed: the new one is verified at the next sign-in."""
    EmailAddress.objects.filter(user=user).exclude(email=user.email).delete()


@receiver(password_reset)
def on_password_chosen(user: User, **kwargs: Any) -> None:
    trust_address(user)
