"""HLS: a playlist's segments as one file, each fetched under the same guard as everything else.

Source: RFC 8216, sections 4.3.2 (segments, byte ranges, maps, keys) and 4.3.4 (variants, renditions).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import m3u8

from transcoding.aws.fetch import Fetcher, FetchRefused, HttpSource, chunks, raise_for
from transcoding.engine.sources import NotSeekable, Pieces, SourceFailed

BEGINS_WITH = b"#EXTM3U"
_MOST_BYTES = 1024 * 1024
_MOST_SEGMENTS = 5000
_TALLEST = 1080
"""Lines of the variant that is taken, if there is a choice."""
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class _Segment:
    url: str
    span: str = ""


class PlaylistSource:
    """The segments of a finished playlist, one after the other."""

    size: int | None = None

    def __init__(self, fetcher: Fetcher, segments: list[_Segment]) -> None:
        self._fetcher = fetcher
        self._segments = segments
        for origin in {_origin(segment.url): segment.url for segment in self._segments}.values():
            fetcher.guard.check(origin)  # refused before the first byte, not in the middle

    def read(self, start: int, end: int | None = None) -> Pieces:
        if start:
            raise NotSeekable("A playlist is read from its beginning.")
        for segment in self._segments:
            yield from self._segment(segment)

    def _segment(self, segment: _Segment) -> Iterator[bytes]:
        """Tried again from its beginning, if the connection breaks, without what was given already."""
        given, failures = 0, 0
        while failures < _TRIES:
            try:
                for fresh in self._from(segment, given):
                    given += len(fresh)
                    yield fresh
            except (FetchRefused, SourceFailed):
                failures += 1
            else:
                return
        raise SourceFailed("A segment could not be fetched.")

    def _from(self, segment: _Segment, skip: int) -> Iterator[bytes]:
        with self._fetcher.get(segment.url, segment.span) as answer:
            raise_for(answer)
            for chunk in chunks(answer):
                yield chunk[skip:]
                skip = max(0, skip - len(chunk))


def is_playlist(source: HttpSource) -> bool:
    reading = source.read(0, len(BEGINS_WITH)) if source.size else source.read(0)
    return next(iter(reading), b"").startswith(BEGINS_WITH)


def _origin(url: str) -> str:
    return url.split("/", 3)[2]


def opened(fetcher: Fetcher, url: str) -> tuple[PlaylistSource, PlaylistSource | None]:
    """The film, and its sound where that is a rendition of its own."""
    playlist, sound = _loaded(fetcher, url), ""
    if playlist.is_variant:
        variant = _variant(playlist)
        playlist, sound = _loaded(fetcher, str(variant.absolute_uri)), _sound(variant)
    film = PlaylistSource(fetcher, _segments(playlist))
    return film, PlaylistSource(fetcher, _segments(_loaded(fetcher, sound))) if sound else None


def _sound(variant: m3u8.Playlist) -> str:
    """Address of the sound that the variant's author would have played; empty if it is in the film itself."""
    group = [media for media in variant.media if media.type == "AUDIO"]
    group.sort(key=lambda media: (media.default != "YES", media.autoselect != "YES"))
    return str(group[0].absolute_uri) if group and group[0].uri else ""


def _segments(playlist: m3u8.M3U8) -> list[_Segment]:
    if playlist.is_variant:
        raise FetchRefused(422, "playlist_in_playlist")
    if not playlist.is_endlist:
        raise FetchRefused(422, "playlist_not_finished")
    if not playlist.segments or len(playlist.segments) > _MOST_SEGMENTS:
        raise FetchRefused(422, "playlist_empty" if not playlist.segments else "playlist_too_long")
    if any(key and key.method != "NONE" for key in playlist.keys):
        raise FetchRefused(422, "encrypted")
    return list(_in_order(playlist))


def _loaded(fetcher: Fetcher, url: str) -> m3u8.M3U8:
    text, address = fetcher.text(url, _MOST_BYTES)
    if not text.startswith(BEGINS_WITH.decode()):
        raise FetchRefused(422, "not_a_playlist")
    try:
        return m3u8.loads(text, uri=address)
    except (ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        raise FetchRefused(422, "not_a_playlist") from error


def _variant(playlist: m3u8.M3U8) -> m3u8.Playlist:
    """The best that is no larger than a screen needs; else the smallest."""

    def lines(variant: m3u8.Playlist) -> int:
        return int((variant.stream_info.resolution or (0, 0))[1])

    variants = sorted(playlist.playlists, key=lambda one: (lines(one), one.stream_info.bandwidth or 0))
    if not variants:
        raise FetchRefused(422, "playlist_empty")
    fitting = [variant for variant in variants if lines(variant) <= _TALLEST]
    return (fitting or variants[:1])[-1]


def _in_order(playlist: m3u8.M3U8) -> Iterator[_Segment]:
    """The segments, each map before the first that needs it. Byte ranges without an offset go on."""
    last_map, at = None, 0
    for segment in playlist.segments:
        section = segment.init_section
        if section is not None and section.absolute_uri != last_map:
            last_map = section.absolute_uri
            yield _Segment(url=last_map, span=_span(section.byterange, 0)[0])
        span, at = _span(segment.byterange, at)
        yield _Segment(url=segment.absolute_uri, span=span)


def _span(byterange: str | None, at: int) -> tuple[str, int]:
    """(a Range, where the next one begins)."""
    if not byterange:
        return "", 0
    length, _, offset = byterange.partition("@")
    if not (length.isdecimal() and (offset or "0").isdecimal()):
        raise FetchRefused(422, "not_a_playlist")
    start = int(offset) if offset else at
    return f"bytes={start}-{start + int(length) - 1}", start + int(length)
