"""The arguments of every ffmpeg run. ffmpeg-python puts them together; `run` alone runs them.

All names are relative to the job's folder and ours.
"""

from typing import Any

import ffmpeg

from transcoding.engine import codecs
from transcoding.engine.contracts import Limits, Treatment
from transcoding.engine.plan import AudioPlan, Plan, VideoPlan

_GLOBAL = ("-nostdin", "-hide_banner", "-v", "error", "-y", "-max_alloc", str(codecs.LARGEST_ALLOCATION))
_PROGRESS = ("-nostats", "-stats_period", "0.5", "-progress", "pipe:1")
_BT709 = {"color_range": "tv", "colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
_WITHOUT_SEI = "filter_units=remove_types=6"
"""Takes out H.264's SEI units: cameras write positions there, and x264 its settings."""
_NAMELESS = {
    "map_metadata": -1,
    "map_chapters": -1,
    "fflags": "+bitexact",
    "flags:v": "+bitexact",
    "flags:a": "+bitexact",
}
_PAST_LIMIT = 1.0
"""Seconds past the longest allowed duration at which encoding ends, whatever the source claims."""
POSTER_SIDE = 1280
LUMA_SIDE = 32


def conversion(plan: Plan, limits: Limits, source: str, output: str) -> list[str]:
    """Make the MP4 that every browser plays: H.264 and AAC, index first, no metadata of any kind."""
    opened = _opened(source, plan.container, limits, strict=plan.video.treatment is Treatment.COPY)
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
    return [*_GLOBAL, *_PROGRESS, *ffmpeg.get_args(written)]


def poster(limits: Limits, source: str, at: float, *, picture: str, luma: str) -> list[str]:
    """The frame of our own MP4 at `at` seconds as a JPEG, and its brightness as 32 x 32 grey bytes.

    A JPEG has BT.601 full-range colours by definition (JFIF 1.02), so they are converted.
    """
    fit = rf"min(1\,{POSTER_SIDE}/max(iw\,ih))"
    frames = _opened(source, "mov", limits, ss=f"{at:.3f}")["v:0"]
    jpeg = {
        "vf": f"scale=w=max(2\\,trunc(iw*{fit}/2+0.5)*2):h=max(2\\,trunc(ih*{fit}/2+0.5)*2):flags=bicubic,"
        "zscale=min=bt709:rin=tv:m=bt470bg:r=pc,format=yuvj420p",
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


def _opened(source: str, container: str, limits: Limits, *, strict: bool = False, **more: Any) -> Any:
    """The input, guarded: demuxer pinned, decoders, formats and protocols from the lists, sizes limited."""
    return ffmpeg.input(
        f"file:{source}",
        f=container,
        protocol_whitelist=codecs.PROTOCOLS,
        format_whitelist=codecs.FORMATS,
        codec_whitelist=codecs.DECODERS,
        max_streams=codecs.MOST_STREAMS,
        max_pixels=limits.pixels,
        **({"xerror": None} if strict else {}),  # None: an option without a value
        **more,
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
