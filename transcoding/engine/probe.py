"""Ask ffprobe what a file holds, and believe only what fits in a bounded answer."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transcoding.engine import boxes, codecs
from transcoding.engine.binaries import find_ffprobe
from transcoding.engine.contracts import FailureCode, Limits
from transcoding.engine.errors import BadInput, ConverterKilled
from transcoding.engine.facts import AudioStream, Hdr, SourceFacts, VideoStream
from transcoding.engine.run import Budget, Run, Stop, run
from transcoding.engine.sniff import demuxer, ends_in_a_packet

_SECONDS = 60.0
_ANSWER_BYTES = 1024 * 1024
_ENTRIES = (
    "format=duration,start_time"
    ":stream=index,id,codec_type,codec_name,profile,pix_fmt,level,width,height,sample_aspect_ratio,field_order,"
    "color_range,color_space,color_transfer,color_primaries,avg_frame_rate,duration,start_time,nb_frames,"
    "nb_read_packets,extradata_size,channels,sample_rate"
    ":stream_disposition=default,attached_pic,timed_thumbnails,still_image"
    ":stream_side_data=side_data_type,displaymatrix,rotation,dv_profile,dv_bl_signal_compatibility_id,"
    "crop_top,crop_bottom,crop_left,crop_right"
)
"""No tags and no chapters: a hostile file can hold millions, and true ones say where it was filmed."""
_FIRST_PACKETS = "packet=stream_index,flags"
_FIRST_LOOK = (
    f"{_FIRST_PACKETS}:frame=stream_index:frame_side_data=side_data_type,displaymatrix,rotation"
    ":stream=index:stream_side_data=side_data_type"
)
_OVERSIZE = "exceeds specified max pixel count"
_MATRIX_NAMES = {"Display Matrix", "3x3 displaymatrix"}
"""Of a stream and of a frame."""
_LOOK_PACKETS = 24
"""Per video stream. An edit list that hides frames hides some of the first ones."""
_INTERLACED = {"tt", "bb", "tb", "bt"}
_UNKNOWN = {"", "unknown", "reserved", "unspecified"}
_QUARTER, _HALF = 90, 180


OnRun = Callable[[Run], None]
"""Told of every run, for its cost."""
OnTick = Callable[[], None]
"""Called several times a second while a program runs; what it raises ends it."""


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What only the first packets and key frames of a video stream tell."""

    hides: frozenset[int] = frozenset()
    """Indexes of streams with packets that are not to be shown."""
    turns: dict[int, dict[str, Any]] = field(default_factory=dict)
    """The orientation that frames carry, by the index of the stream, where the container has none."""


def probe(
    source: Path,
    limits: Limits,
    on_run: OnRun = lambda run: None,
    on_tick: OnTick = lambda: None,
    *,
    look_inside: bool = True,
) -> SourceFacts:
    """The facts about `source`. The demuxer is chosen by its first bytes, never by its name.

    `look_inside`: with what only the first packets and frames tell, which our own outputs need not.

    Raises BadInput: `empty`, `not_a_video`, `damaged`, `too_many_pixels`.
    """
    asked = Probe(source, limits, on_run)
    return asked.look_inside(on_tick) if look_inside else asked.facts(on_tick)


class Probe:
    """One file being asked about: `facts` first, which the rest builds on."""

    def __init__(self, source: Path, limits: Limits, on_run: OnRun) -> None:
        """Raises BadInput: `empty`, `not_a_video`."""
        self._source = source
        self._limits = limits
        self._on_run = on_run
        self._container = demuxer(source)
        self._shunned: frozenset[str] = frozenset()
        self._told: dict[str, Any] = {}
        self._looked: SourceFacts | None = None

    def facts(self, on_tick: OnTick) -> SourceFacts:
        """What the headers tell. Raises BadInput: `damaged`, `not_a_video`, `too_many_pixels`."""
        told = self._ask(on_tick, "-show_entries", _ENTRIES)
        if _wants_counting(told.get("streams", [])):
            told = self._ask(on_tick, "-show_entries", _ENTRIES, "-count_packets")
        if not told.get("streams"):
            raise BadInput(_unreadable(self._source, self._container), "The container holds no streams.")
        self._told = told
        return self._facts(_Look())

    def look_inside(self, on_tick: OnTick) -> SourceFacts:
        """With what only the first packets and frames tell. The second time it is known."""
        if not self._told:
            self.facts(on_tick)
        if self._looked is None:
            self._looked = self._facts(self._first_look(on_tick, self._told["streams"]))
        return self._looked

    def _facts(self, look: _Look) -> SourceFacts:
        streams = self._told["streams"]
        return _facts(self._source, self._container, self._told.get("format", {}), streams, look)

    def _first_look(self, on_tick: OnTick, streams: list[dict[str, Any]]) -> _Look:
        """Only where it could decide whether to copy: frames are decoded of H.264 alone."""
        count = sum(stream.get("codec_type") == "video" for stream in streams)
        if self._container not in codecs.COPIED_FROM or not count:
            return _Look()
        decodes = any(map(_is_h264, streams)) and not self._shunned
        entries = _FIRST_LOOK if decodes else _FIRST_PACKETS
        reach = ("-read_intervals", f"%+#{_LOOK_PACKETS * count}", "-skip_frame", "nokey")
        try:
            answer = self._ask(on_tick, "-select_streams", "v", "-show_entries", entries, *reach)
        except BadInput:
            return _Look()  # whatever is wrong, the conversion itself finds out
        seen = answer.get("packets_and_frames", answer.get("packets", []))
        outside = {stream["index"] for stream in answer.get("streams", []) if _has_matrix(stream)}
        hiding = (one for one in seen if "D" in one.get("flags", ""))
        turned = (one for one in seen if _has_matrix(one) and one["stream_index"] not in outside)
        return _Look(
            hides=frozenset(one["stream_index"] for one in hiding),
            turns={one["stream_index"]: _side_data(one) for one in turned},
        )

    def _ask(self, on_tick: OnTick, *arguments: str) -> dict[str, Any]:
        """ffprobe's answer. Raises BadInput and ConverterKilled.

        ffprobe gives up at the first stream whose decoder it may not open, be it a subtitle that nobody
        wants. Asked again it may open that decoder, but nothing is ever decoded by it: the list for the
        demuxer, which decodes a little to find out more, stays as it is.
        """
        while True:
            done, answer = self._ask_once(on_tick, *arguments)
            if not (unknown := done.shunned - self._shunned) or done.succeeded:
                break
            self._shunned |= unknown
        if not done.succeeded:
            raise _refusal(done, self._source, self._container)
        found: dict[str, Any] = json.loads(answer)
        if _OVERSIZE in done.log and not any(stream.get("width") for stream in found.get("streams", [])):
            raise _refusal(done, self._source, self._container)
        return found

    def _ask_once(self, on_tick: OnTick, *arguments: str) -> tuple[Run, bytes]:
        source, limits, pieces = self._source, self._limits, list[bytes]()
        guards = [*guarded(self._container, limits), *_opening(self._shunned)]

        def collect(chunk: bytes) -> bool:
            pieces.append(chunk)
            return True

        done = run(
            find_ffprobe(),
            [*guards, *arguments, "-of", "json=compact=1", f"file:{source.name}"],
            folder=source.parent,
            budget=Budget(
                seconds=min(_SECONDS, limits.seconds),
                stall_seconds=limits.stall_seconds,
                memory_bytes=limits.memory_bytes,
                file_bytes=0,
                stdout_bytes=_ANSWER_BYTES,
            ),
            on_output=collect,
            on_tick=on_tick,
        )
        self._on_run(done)
        return done, b"".join(pieces)


def _opening(shunned: frozenset[str]) -> list[str]:
    """Options that let ffprobe open these decoders too, for every kind of stream."""
    names = ",".join((codecs.DECODERS, *sorted(shunned)))
    return [part for kind in "vas" for part in (f"-codec_whitelist:{kind}", names)] if shunned else []


def _is_h264(stream: dict[str, Any]) -> bool:
    return stream.get("codec_name") == "h264"


def _has_matrix(one: dict[str, Any]) -> bool:
    return any(side.get("side_data_type") in _MATRIX_NAMES for side in one.get("side_data_list", []))


def _wants_counting(streams: list[dict[str, Any]]) -> bool:
    """Several video streams, and the container does not say how many frames they have."""
    video = [stream for stream in streams if stream.get("codec_type") == "video"]
    return len(video) > 1 and any(_whole(stream.get("nb_frames")) is None for stream in video)


def guarded(container: str, limits: Limits) -> list[str]:
    """ffprobe's arguments for a file that may be hostile: demuxer pinned, everything else from lists."""
    return [
        *("-v", "error", "-f", container),
        *("-protocol_whitelist", codecs.PROTOCOLS, "-format_whitelist", codecs.FORMATS),
        *("-codec_whitelist", codecs.DECODERS, "-max_streams", str(codecs.MOST_STREAMS)),
        *("-max_pixels", str(limits.pixels), "-max_alloc", str(codecs.LARGEST_ALLOCATION)),
    ]


def _refusal(done: Run, source: Path, container: str) -> Exception:
    if done.killed_from_outside:
        return ConverterKilled("ffprobe was killed by something outside the engine.")
    if done.starved:
        return BadInput(FailureCode.TOO_MANY_PIXELS, "ffprobe needed more memory than it may have.")
    if done.stopped in (Stop.WALL_CLOCK, Stop.STALLED, Stop.CPU):
        return BadInput(FailureCode.TIMED_OUT, f"ffprobe: {done.stopped}")
    if _OVERSIZE in done.log:
        return BadInput(FailureCode.TOO_MANY_PIXELS, "ffprobe refused the size of the picture.")
    return BadInput(_unreadable(source, container), done.stopped or done.log)


def _unreadable(source: Path, container: str) -> FailureCode:
    """A recognised container with content is damaged; one without any is no video at all."""
    if container == "mov" and not boxes.holds_media(source):
        return FailureCode.NOT_A_VIDEO
    return FailureCode.DAMAGED


def _facts(
    source: Path, container: str, form: dict[str, Any], streams: list[dict[str, Any]], look: _Look
) -> SourceFacts:
    is_mov = container == "mov"
    tracks = boxes.tracks(source) if is_mov else {}
    fragmented = is_mov and boxes.is_fragmented(source)
    video = tuple(
        _video(stream, tracks.get(_track_id(stream)), look, fragmented=fragmented)
        for stream in streams
        if stream.get("codec_type") == "video"
    )
    audio = tuple(
        _audio(stream, tracks.get(_track_id(stream)))
        for stream in streams
        if stream.get("codec_type") == "audio"
    )
    return SourceFacts(
        container=container,
        size=source.stat().st_size,
        fragmented=fragmented,
        torn=container == "mpegts" and ends_in_a_packet(source),
        duration=_length(form, container),
        start=_start(form),
        encrypted=(is_mov and boxes.is_encrypted(source)) or any(map(_has_key_data, streams)),
        other_streams=len(streams) - len(video) - len(audio),
        video=video,
        audio=audio,
    )


def _has_key_data(stream: dict[str, Any]) -> bool:
    return any("Encryption" in side.get("side_data_type", "") for side in stream.get("side_data_list", []))


def _track_id(stream: dict[str, Any]) -> int:
    return int(stream.get("id", "-1"), 16)


def _video(
    stream: dict[str, Any], track: boxes.Track | None, look: _Look, *, fragmented: bool
) -> VideoStream:
    side = _side_data(stream) | look.turns.get(stream["index"], {})
    rotation, mirrored = _orientation(side)
    aspect = _ratio(stream.get("sample_aspect_ratio"), ":") or 1.0
    coded_width, coded_height = _cropped(stream, side)
    width, height = round(coded_width * aspect), coded_height
    if rotation in (_QUARTER, _HALF + _QUARTER):
        width, height = height, width
    disposition = stream.get("disposition", {})
    return VideoStream(
        index=stream["index"],
        codec=stream.get("codec_name", ""),
        profile=_said(stream, "profile"),
        level=level if (level := stream.get("level", 0)) > 0 else None,
        pixel_format=_said(stream, "pix_fmt"),
        width=width,
        height=height,
        coded_width=coded_width,
        coded_height=coded_height,
        cropped=(coded_width, coded_height) != (stream.get("width", 0), stream.get("height", 0)),
        sample_aspect=aspect,
        rotation=rotation,
        mirrored=mirrored,
        turned_inside=stream["index"] in look.turns,
        interlaced=stream.get("field_order") in _INTERLACED,
        color_range=_said(stream, "color_range"),
        color_matrix=_said(stream, "color_space"),
        color_transfer=_said(stream, "color_transfer"),
        color_primaries=_said(stream, "color_primaries"),
        hdr=_hdr(stream, side),
        dolby_vision=side.get("dv_profile"),
        frame_rate=_ratio(stream.get("avg_frame_rate"), "/"),
        frames=_frames(stream, fragmented=fragmented),
        duration=_seconds(stream.get("duration")),
        start=_start(stream),
        cut=stream["index"] in look.hides or (track is not None and (track.edits > 1 or track.hides_end)),
        changing=track is not None and track.descriptions > 1,
        has_extradata=bool(stream.get("extradata_size")),
        is_default=bool(disposition.get("default")),
        is_picture=any(map(disposition.get, ("attached_pic", "timed_thumbnails", "still_image"))),
    )


def _audio(stream: dict[str, Any], track: boxes.Track | None) -> AudioStream:
    return AudioStream(
        index=stream["index"],
        codec=stream.get("codec_name", ""),
        profile=_said(stream, "profile"),
        channels=stream.get("channels", 0),
        sample_rate=_whole(stream.get("sample_rate")) or 0,
        duration=_seconds(stream.get("duration")),
        start=_start(stream),
        cut=track is not None and track.edits > 1,
        has_extradata=bool(stream.get("extradata_size")),
        is_default=bool(stream.get("disposition", {}).get("default")),
    )


def _side_data(stream: dict[str, Any]) -> dict[str, Any]:
    """All side data of a stream or a frame as one dictionary; their names do not overlap."""
    return {name: value for side in stream.get("side_data_list", []) for name, value in side.items()}


def _cropped(stream: dict[str, Any], side: dict[str, Any]) -> tuple[int, int]:
    """Coded size after the container's cropping, which ffmpeg applies when it decodes."""
    width = stream.get("width", 0) - side.get("crop_left", 0) - side.get("crop_right", 0)
    height = stream.get("height", 0) - side.get("crop_top", 0) - side.get("crop_bottom", 0)
    return max(width, 0), max(height, 0)


def _orientation(side: dict[str, Any]) -> tuple[int, bool]:
    """(degrees clockwise, whether the display matrix mirrors: its determinant is negative)."""
    rows = re.findall(r":\s+(-?\d+)\s+(-?\d+)\s+-?\d+", side.get("displaymatrix", ""))
    if len(rows) < 2:  # noqa: PLR2004 - no matrix, or none that can be read
        return 0, False
    (a, b), (c, d) = (tuple(map(int, row)) for row in rows[:2])
    return round(-float(side.get("rotation", 0))) % 360, a * d - b * c < 0


def _hdr(stream: dict[str, Any], side: dict[str, Any]) -> Hdr:
    """By the transfer function, or by the base layer that Dolby Vision names where there is none."""
    by_transfer = {"arib-std-b67": Hdr.HLG, "smpte2084": Hdr.PQ}
    by_base_layer = {1: Hdr.PQ, 4: Hdr.HLG, 6: Hdr.PQ}
    transfer = _said(stream, "color_transfer")
    if transfer or "dv_profile" not in side:
        return by_transfer.get(transfer, Hdr.NONE)
    return by_base_layer.get(side.get("dv_bl_signal_compatibility_id", 0), Hdr.NONE)


def _frames(stream: dict[str, Any], *, fragmented: bool) -> int | None:
    counted = _whole(stream.get("nb_read_packets"))
    return counted if counted is not None or fragmented else _whole(stream.get("nb_frames"))


def _said(stream: dict[str, Any], name: str) -> str:
    value = str(stream.get(name, ""))
    return "" if value in _UNKNOWN else value


def _seconds(value: str | None) -> float | None:
    """A duration, or None where it is absent, zero or nonsense."""
    seconds = _number(value)
    return seconds if seconds is not None and seconds > 0 else None


def _length(form: dict[str, Any], container: str) -> float | None:
    """Matroska counts from 0, wherever its first stream begins."""
    duration = _seconds(form.get("duration"))
    if duration is None or container != "matroska":
        return duration
    return max(0.0, duration - _start(form)) or None


def _start(stream: dict[str, Any]) -> float:
    return _number(stream.get("start_time")) or 0.0


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _whole(value: str | None) -> int | None:
    return int(value) if value and value.isdigit() else None


def _ratio(value: str | None, separator: str) -> float | None:
    """`30000/1001` as a number, or None for `0/0`, `0:1` and the like."""
    above, _, below = (value or "").partition(separator)
    top, bottom = _number(above), _number(below)
    return top / bottom if top and bottom and top / bottom > 0 else None
