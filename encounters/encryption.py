"""Fields whose values the database never sees: AES-256-GCM, under keys that can be renewed.

A stored value reads `enc:<name of its key>:<base64url of nonce, ciphertext and tag>`. The name tells which
values still wait for `rotate_field_keys`. Table and column are authenticated along, so that nobody can move a
value into another column; whoever renames either has to encrypt its values anew. Nothing stays nothing.
"""

import base64
import logging
import os
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import models
from django.db.models.functions import Cast

from transcoding.errors import PortalError

logger = logging.getLogger(__name__)

MARK = "enc:"
NONCE_BYTES = 12
"""Random for each value. Source: NIST SP 800-38D, section 8.2.2; far from 2³² values a key."""


class CannotDecrypt(PortalError):
    code = "cannot_decrypt"
    message = "This cannot be read with the keys that the portal was given. Please tell an administrator."
    status = 500


@lru_cache
def derived(secret: str, use: str) -> bytes:
    """32 bytes for one use of a secret."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"portal {use}".encode()).derive(
        secret.encode()
    )


@lru_cache
def _cipher(secret: str) -> AESGCM:
    return AESGCM(derived(secret, "fields"))


def present_key() -> str:
    """Name of the key under which everything new is encrypted."""
    return next(iter(settings.FIELD_KEYS))


def encrypt(text: str, *, place: str) -> str:
    """Under the present key. `place` must be the same when it is decrypted."""
    if not text:
        return ""
    name, nonce = present_key(), os.urandom(NONCE_BYTES)
    sealed = _cipher(settings.FIELD_KEYS[name]).encrypt(nonce, text.encode(), place.encode())
    return f"{MARK}{name}:{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def unseal(stored: str, *, place: str) -> str:
    """Under the key that it names. Raises `CannotDecrypt` if that one is missing, or is another one."""
    if not stored:
        return ""
    name, _, content = stored.removeprefix(MARK).partition(":")
    try:
        sealed = base64.urlsafe_b64decode(content)
        nonce, sealed = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        return _cipher(settings.FIELD_KEYS[name]).decrypt(nonce, sealed, place.encode()).decode()
    except (KeyError, InvalidTag, ValueError):
        raise CannotDecrypt from None


def decrypt(stored: str, *, place: str) -> str:
    """`unseal` for what we stored ourselves: that it cannot be read is for an admin to know."""
    try:
        return unseal(stored, place=place)
    except CannotDecrypt:
        # What stands there without our mark may be anything, names included.
        name = key_of(stored)
        logger.error("cannot decrypt", extra={"field": place, "key": name})  # noqa: TRY400 - no more to say
        raise


def key_of(stored: str) -> str | None:
    """The name of the key of a stored value. None: it is not one of ours."""
    mark, _, rest = stored.partition(":")
    return rest.partition(":")[0] if f"{mark}:" == MARK else None


# Fields are generic in their stubs alone, and cannot be subscribed when the program runs.
class Encrypted(models.Field):  # type: ignore[type-arg]
    """Encrypts what the field beside it would store. It cannot be searched, compared or sorted by."""

    @property
    def raw(self) -> Cast:
        """What the database itself holds, as an expression."""
        return Cast(self.attname, models.TextField())

    @property
    def place(self) -> str:
        return f"{self.model._meta.db_table}.{self.column}"  # noqa: SLF001 - Django's own name for it

    def get_internal_type(self) -> str:
        return "TextField"

    def get_lookup(self, lookup_name: str) -> Any:
        """None: equal values look different, so that no other comparison can be right."""
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None

    def get_transform(self, lookup_name: str) -> Any:
        return None

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return value if value is None else self.to_python(decrypt(value, place=self.place))

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's
        value = value if prepared else self.get_prep_value(value)
        return value if value is None else encrypt(str(value), place=self.place)


class EncryptedCharField(Encrypted, models.CharField):  # type: ignore[type-arg]
    pass


class EncryptedTextField(Encrypted, models.TextField):  # type: ignore[type-arg]
    pass


class EncryptedEmailField(Encrypted, models.EmailField):  # type: ignore[type-arg]
    pass


class EncryptedDateField(Encrypted, models.DateField):  # type: ignore[type-arg]
    """Stored as ISO 8601 under its encryption."""
