"""Ending sessions of staff."""

from allauth.usersessions.models import UserSession


def end_all(user_id: int | None) -> None:
    """Sign this person out on every machine."""
    for session in UserSession.objects.filter(user_id=user_id):
        session.end()
