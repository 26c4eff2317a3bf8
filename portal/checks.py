"""Checks of what the settings say together."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004 - Django's name for it


@register(Tags.security, deploy=True)
def check_not_demo(**kwargs: Any) -> list[CheckMessage]:
    if settings.DEMO:
        return [Warning("These are the demo's settings.", hint="Set DEMO=false.", id="portal.W001")]
    return []


@register(Tags.security, deploy=True)
def check_limits_are_shared(**kwargs: Any) -> list[CheckMessage]:
    if not settings.DEMO and settings.CACHES["default"]["BACKEND"].endswith("LocMemCache"):
        words = "Limits of wrong passwords and codes hold in each process by itself."
        return [Warning(words, hint="Give CACHE_URL, such as rediscache://host:6379/0.", id="portal.W002")]
    return []
