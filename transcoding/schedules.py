"""Regular tasks, kept on django-q2's schedule by each migration."""

from collections.abc import Callable
from typing import Any


def every(minutes: int, func: str) -> Callable[..., None]:
    """A `post_migrate` receiver that keeps `func` (a dotted path) on the schedule."""

    def keep(**kwargs: Any) -> None:
        from django_q.models import Schedule  # noqa: PLC0415 - a model, needs the apps

        Schedule.objects.update_or_create(
            name=func, defaults={"func": func, "schedule_type": Schedule.MINUTES, "minutes": minutes}
        )

    return keep
