"""Sign-on by the hospital's own server, for staff whom an admin invited."""

from typing import Any

from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.http import HttpRequest


class InvitedOnly(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """The hospital says who somebody is, an admin who may come in."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False
