"""Names that leave the database: tokens and object keys. None of them says anything about anybody."""

import hashlib
import secrets
from pathlib import PurePosixPath

CONTENT_TYPES = {
    "mov": "video/quicktime",
    "mp4": "video/mp4",
    "m4v": "video/x-m4v",
    "3gp": "video/3gpp",
    "3g2": "video/3gpp2",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "avi": "video/x-msvideo",
    "mpg": "video/mpeg",
    "mpeg": "video/mpeg",
    "ts": "video/mp2t",
    "mts": "video/mp2t",
    "m2ts": "video/mp2t",
}
"""Extensions that may stand in an object key, and the content type that each is stored with."""

EXTENSIONS = {content_type: extension for extension, content_type in reversed(CONTENT_TYPES.items())}


TOKEN_LENGTH = 32
"""Letters: four for each three bytes."""


def new_token() -> str:
    """192 random bits for a link."""
    return secrets.token_urlsafe(TOKEN_LENGTH * 3 // 4)


def token_hash(token: str) -> str:
    """SHA-256 in hexadecimal: what the database knows of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def extension_of(filename: str, content_type: str) -> str | None:
    """The allow-listed extension for a file, from its name or else its announced type; None: neither is.

    A phone's picker may hand over a name without extension, so either suffices.
    """
    extension = PurePosixPath(filename.lower()).suffix.removeprefix(".")
    if extension in CONTENT_TYPES:
        return extension
    return EXTENSIONS.get(content_type.lower().split(";")[0].strip())


def new_source_key(reference: str, extension: str) -> str:
    """`<reference>/<40 hex>.<extension>`: random, so that nothing can be read from it or guessed."""
    return f"{reference}/{secrets.token_hex(20)}.{extension}"
