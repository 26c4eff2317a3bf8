"""Object keys: what lies beside a source, and which objects the engine made itself."""

from pathlib import PurePosixPath

_OURS = (".web.mp4", ".poster.jpg", ".result.json", ".storyboard.jpg", ".storyboard.vtt", ".frames.json.gz")


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
