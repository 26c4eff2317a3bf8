"""The arguments of every ffmpeg run. ffmpeg-python puts them together; `run` alone runs them.

All names are relative to the job's folder and ours.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ffmpeg

from transcoding.engine import codecs
from transcoding.engine.contracts import Limits, Treatment
from transcoding.engine.plan import AudioPlan, Plan, VideoPlan
from transcoding.engine.storyboard import HAIR, Sheet

_GLOBAL = ("-nostdin", "-hide_banner", "-v", "error", "-y", "-max_alloc", str(codecs.LARGEST_ALLOCATION))
_STRICT = ("-xerror",)
_TO_NOTHING = {"f": "null", "fps_mode": "passthrough", "enc_time_base:v": "1:90000"}
"""With times fine enough that no two frames fall on one, which would be told as an error."""
_PROGRESS = ("-nostats", "-stats_period", "0.5", "-progress", "pipe:1")
_BT709 = {"color_range": "tv", "colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
_WITHOUT_SEI = "filter_units=remove_types=6"
"""Takes out H.264's SEI units: cameras write positions there, and x264 its settings."""
_NAMELESS = {
    "map_metadata": -1,
    "map_chapters": -1,
    "metadata:s:v": "encoder=",
    "fflags": "+bitexact",
    "flags:v": "+bitexact",
    "flags:a": "+bitexact",
}
_SPOT_PIXELS = 12 * 1920 * 1080
"""How much of a group of pictures is tried: 12 frames of HD, 27 of 720 lines, all of most smaller ones."""
_PAST_LIMIT = 1.0
"""Seconds past the longest allowed duration at which encoding ends, whatever the source claims."""
POSTER_SIDE = 1280
LUMA_SIDE = 32


def conversion(plan: Plan, limits: Limits, source: str, output: str) -> list[str]:
    """Make the MP4 that every browser plays: H.264 and AAC, index first, no metadata of any kind.

    Where the picture is copied, ffmpeg stops at the first error: what it would go on with is not clean.
    """
    opened = _opened(source, plan.container, limits)
    streams = [opened[str(index)] for index in (plan.video.index, plan.audio.index) if index is not None]
    options = {
        **_NAMELESS,
        **_video_options(plan.video),
        **_audio_options(plan.audio),
        "t": limits.duration + _PAST_LIMIT,
        "f": "mp4",
        "movflags": "+faststart",
        "empty_hdlr_name": 1,
    }
    written = ffmpeg.output(*streams, f"file:{output}", **options)
    strict = _STRICT if plan.video.treatment is Treatment.COPY else ()
    return [*_GLOBAL, *strict, *_PROGRESS, *ffmpeg.get_args(written)]


def decode_whole(limits: Limits, mp4: str) -> list[str]:
    """Decode our own MP4 from end to end and keep nothing."""
    opened = _opened(mp4, "mov", limits)
    nothing = ffmpeg.output(opened["v:0"], opened["a:0?"], "-", **_TO_NOTHING)
    return [*_GLOBAL, *_STRICT, *_PROGRESS, *ffmpeg.get_args(nothing)]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where a poster may be taken."""

    at: float
    """Presentation time of a frame, in seconds."""
    is_key: bool


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A piece of a film to try. Seconds."""

    start: float
    seconds: float


def spots(times: Sequence[float], keyframes: Sequence[float], pixels: int) -> list[Spot]:
    """The first and the last group of pictures, or what a moment decodes of them, and key frames between.

    `pixels` are those of one frame.
    """
    most = max(1, _SPOT_PIXELS // max(pixels, 1))
    first, last = keyframes[0], keyframes[-1]
    between = [keyframes[len(keyframes) * part // 4] for part in (1, 2, 3)]
    chosen = dict.fromkeys(between, 0.0) | {key: _reach(times, key, most) for key in (last, first)}
    return [Spot(start=start, seconds=seconds) for start, seconds in sorted(chosen.items())]


def _reach(times: Sequence[float], key: float, most: int) -> float:
    """Seconds from a key frame to the last of so many frames."""
    return times[min(bisect_left(times, key) + most, len(times)) - 1] - key


def decode_spots(limits: Limits, mp4: str, tried: Sequence[Spot]) -> list[str]:
    """Decode pieces of our own MP4 and keep nothing."""
    nothing = [
        ffmpeg.output(
            _opened(mp4, "mov", limits, **_from_key_frame(spot.start), t=f"{spot.seconds + HAIR:.6f}")["v:0"],
            "-",
            **_TO_NOTHING,
        )
        for spot in tried
    ]
    return [*_GLOBAL, *_STRICT, *_PROGRESS, *ffmpeg.get_args(ffmpeg.merge_outputs(*nothing))]


def _from_key_frame(at: float) -> dict[str, Any]:
    """Begin with the key frame that is shown at this time, without looking at the frames before it."""
    return {"ss": f"{at + HAIR:.6f}", "noaccurate_seek": None}


def _from_any_frame(at: float) -> dict[str, Any]:
    return {"ss": f"{max(0.0, at - HAIR):.6f}"}


def poster(
    limits: Limits, source: str, moment: Moment, colours: VideoPlan, into: tuple[str, str]
) -> list[str]:
    """One frame of our own MP4 as a JPEG, and its brightness as 32 x 32 grey bytes."""
    picture, luma = into
    start = _from_key_frame(moment.at) if moment.is_key else _from_any_frame(moment.at)
    frames = _opened(source, "mov", limits, **start)["v:0"]
    jpeg = {
        "vf": f"{_shrunk(POSTER_SIDE)},{_as_jpeg(colours)}",
        "frames:v": 1,
        "update": 1,
        "q:v": 3,
        "c:v": "mjpeg",
        "f": "image2",
        **_NAMELESS,
    }
    grey = {
        "vf": f"scale={LUMA_SIDE}:{LUMA_SIDE}:flags=area,format=gray",
        "frames:v": 1,
        "c:v": "rawvideo",
        "f": "rawvideo",
    }
    both = ffmpeg.merge_outputs(
        ffmpeg.output(frames, f"file:{picture}", **jpeg), ffmpeg.output(frames, f"file:{luma}", **grey)
    )
    return [*_GLOBAL, *_PROGRESS, *ffmpeg.get_args(both)]


def storyboard(
    limits: Limits, mp4: str, laid_out: Sheet, colours: VideoPlan, into: tuple[str, str]
) -> list[str]:
    """The sheet as one JPEG, and a file with one byte for each picture that is on it."""
    picture, count = into
    skipping = {"skip_frame": "nokey"} if laid_out.keys_only else {}
    frames = _opened(mp4, "mov", limits, **skipping)["v:0"]
    far = laid_out.interval - HAIR
    select = rf"select=isnan(prev_selected_t)+gte(t-prev_selected_t\,{far:.6f})"
    small = f"scale={laid_out.width}:{laid_out.height}:flags=area,setsar=1,{_as_jpeg(colours)}"
    jpeg = {
        "vf": f"{select},{small},tile={laid_out.columns}x{laid_out.rows}",
        "fps_mode": "passthrough",
        "frames:v": 1,
        "update": 1,
        "q:v": 4,
        "c:v": "mjpeg",
        "f": "image2",
        **_NAMELESS,
    }
    bytes_ = {
        "vf": f"{select},scale=1:1,format=gray",
        "fps_mode": "passthrough",
        "c:v": "rawvideo",
        "f": "rawvideo",
    }
    both = ffmpeg.merge_outputs(
        ffmpeg.output(frames, f"file:{picture}", **jpeg), ffmpeg.output(frames, f"file:{count}", **bytes_)
    )
    return [*_GLOBAL, *_PROGRESS, *ffmpeg.get_args(both)]


def _shrunk(side: int) -> str:
    """Upright, with square pixels, its longer side no longer than this."""
    fit = rf"min(1\,{side}/max(iw*sar\,ih))"
    width, height = rf"max(2\,trunc(iw*sar*{fit}/2+0.5)*2)", rf"max(2\,trunc(ih*{fit}/2+0.5)*2)"
    return f"scale=w={width}:h={height}:flags=bicubic,setsar=1"


def _as_jpeg(colours: VideoPlan) -> str:
    """A JPEG has BT.601 full-range colours by definition (JFIF 1.02), so they are converted."""
    return f"zscale=min={colours.matrix}:rin={colours.range}:m=bt470bg:r=pc,format=yuvj420p"


def _opened(source: str, container: str, limits: Limits, **more: Any) -> Any:
    """The input, guarded: demuxer pinned, decoders, formats and protocols from the lists, sizes limited."""
    return ffmpeg.input(
        f"file:{source}",
        f=container,
        protocol_whitelist=codecs.PROTOCOLS,
        format_whitelist=codecs.FORMATS,
        codec_whitelist=codecs.DECODERS,
        max_streams=codecs.MOST_STREAMS,
        max_pixels=limits.pixels,
        **more,  # None: an option without a value
    )


def _video_options(plan: VideoPlan) -> dict[str, Any]:
    if plan.treatment is Treatment.COPY:
        return {"c:v": "copy", "bsf:v": _WITHOUT_SEI}
    return {
        "vf": ",".join(plan.filters),
        "fps_mode": "vfr",
        "enc_time_base:v": "1:90000",
        "c:v": "libx264",
        "preset": "superfast",
        "crf": 21,
        "profile:v": "high",
        "g": 120,
        "bsf:v": _WITHOUT_SEI,
        **_BT709,
    }


def _audio_options(plan: AudioPlan) -> dict[str, Any]:
    match plan.treatment:
        case Treatment.NONE:
            return {}
        case Treatment.COPY:
            return {"c:a": "copy"}
        case Treatment.ENCODE:
            return {
                "c:a": "aac",
                "b:a": "128k",
                "ac": plan.channels,
                "ar": plan.sample_rate,
                "af": "aresample=async=1:first_pts=0",
            }
