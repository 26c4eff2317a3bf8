from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class StaffAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Staff are invited by an admin; nobody registers themselves."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
