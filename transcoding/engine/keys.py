"""Object keys: what lies beside a source, and which objects the engine made itself."""

import re
from pathlib import PurePosixPath

EXTENSIONS = (
    "mov", "mp4", "m4v", "3gp", "3g2", "webm", "mkv", "avi", "mpg", "mpeg", "ts", "mts", "m2ts",
)  # fmt: skip
"""What the key of a source may end with, in either case."""
_SOURCE = re.compile(
    rf"[0-9a-z]{{8,32}}/[^/\x00-\x1f\x7f]{{1,150}}\.(?:{'|'.join(EXTENSIONS)})", re.IGNORECASE
)
_RANDOM = re.compile(r"[0-9a-f]{40}\.[0-9a-z]{2,5}")
_OURS = (".web.mp4", ".poster.jpg", ".result.json", ".storyboard.jpg", ".storyboard.vtt", ".frames.json.gz")

MADE_BY_US = "portal-made"
"""Name of the metadata that everything has which a conversion put into the bucket."""


def stem(source_key: str) -> str:
    """The source key without its extension: `<reference>/<40 hex>`."""
    path = PurePosixPath(source_key)
    return str(path.with_suffix("")) if path.suffix else source_key


def mp4_key(source_key: str, style: str = "web") -> str:
    """`<stem>.web.mp4`, or `<stem>.mp4` in the plain style.

    A plain key that would replace an .mp4 source gets the mark after all. Raises ValueError for
    another style.
    """
    if style not in ("web", "plain"):
        raise ValueError(f"There is no MP4 key style {style!r}: use 'web' or 'plain'.")
    plain = f"{stem(source_key)}.mp4"
    return plain if style == "plain" and plain != source_key else f"{stem(source_key)}.web.mp4"


def poster_key(source_key: str) -> str:
    return f"{stem(source_key)}.poster.jpg"


def frames_key(source_key: str) -> str:
    return f"{stem(source_key)}.frames.json.gz"


def storyboard_key(source_key: str) -> str:
    return f"{stem(source_key)}.storyboard.jpg"


def storyboard_index_key(source_key: str) -> str:
    return f"{stem(source_key)}.storyboard.vtt"


def result_key(source_key: str) -> str:
    return f"{stem(source_key)}.result.json"


def is_ours(key: str) -> bool:
    """Whether the engine made this object, so that its arrival must not start another conversion."""
    return key.endswith(_OURS)


def is_source(key: str) -> bool:
    """Whether an object under this key is an original: `<reference>/<name>.<extension>`, not made by us."""
    return _SOURCE.fullmatch(key) is not None and not is_ours(key)


def is_random(name: str) -> bool:
    """Whether this is the last part of a key that we made, which says nothing about anybody."""
    return _RANDOM.fullmatch(name) is not None


def is_playable(key: str) -> bool:
    """Whether an MP4 of ours is under this key."""
    return key.endswith(".web.mp4") and is_source(key.removesuffix(".web.mp4") + ".mp4")


def reference(source_key: str) -> str:
    """The encounter's part of a source key."""
    return source_key.partition("/")[0]
