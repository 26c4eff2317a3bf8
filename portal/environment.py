"""Reading settings from the environment: what is nonsense is said loudly, and nothing starts."""

from collections.abc import Collection
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()
SECRET_LENGTH = 32


def flag(name: str, *, default: bool) -> bool:
    """A yes or no. django-environ reads every unknown word as no; a typing error must not do that."""
    given = str(env(name, default=str(default))).strip().lower()
    if given not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
        raise ImproperlyConfigured(f"{name} must be true or false.")
    return given in {"true", "1", "yes", "on"}


def whole(name: str, *, default: int, at_least: int = 1) -> int:
    given = env(name, default=str(default))
    if not given.isdecimal() or int(given) < at_least:
        raise ImproperlyConfigured(f"{name} must be a whole number of at least {at_least}.")
    return int(given)


def choice(name: str, *, default: str, among: set[str]) -> str:
    given: str = env(name, default=default)
    if given not in among:
        raise ImproperlyConfigured(f"{name} must be one of: {', '.join(sorted(among))}.")
    return given


def origin(name: str, *, default: str | None = None) -> str:
    """An address without a path, such as `https://videos.example.org`."""
    given: str = (env(name) if default is None else env(name, default=default)).rstrip("/")
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path:
        raise ImproperlyConfigured(f"{name} must look like https://host or http://host:port.")
    return given


def optional_origin(name: str, *, default: str | None) -> str | None:
    return origin(name, default=default) if default or name in env else None


def address(name: str, *, schemes: Collection[str], default: str | environ.NoValue) -> str:
    """Something like `scheme://user:password@host/name`. django-environ takes nonsense without a word."""
    given: str = env(name, default=default)
    scheme, separator, _ = given.partition("://")
    if not separator or scheme not in schemes:
        raise ImproperlyConfigured(f"{name} must begin with one of: {', '.join(sorted(schemes))} and ://.")
    return given


def named_secrets(name: str, *, default: str | environ.NoValue = "") -> dict[str, str]:
    """`name:secret,name:secret`, each secret of at least 32 characters."""
    pairs = [pair.strip().partition(":") for pair in env(name, default=default).split(",") if pair.strip()]
    if any(not label or len(secret) < SECRET_LENGTH for label, _, secret in pairs):
        raise ImproperlyConfigured(
            f"{name} must look like name:secret, with secrets of {SECRET_LENGTH} characters or more."
        )
    named = {label: secret for label, _, secret in pairs}
    if len(named) < len(pairs):
        raise ImproperlyConfigured(f"{name} has two secrets of one name.")
    return named
