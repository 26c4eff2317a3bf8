"""The arguments of every ffmpeg run. ffmpeg-python puts them together; `run` alone runs them.

All names are relative to the job's folder and ours.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ffmpeg

from transcoding.engine import codecs
from transcoding.engine.contracts import Limits, Treatment
from transcoding.engine.packets import Packets
from transcoding.engine.plan import AudioPlan, Plan, VideoPlan
from transcoding.engine.probe import guarded
from transcoding.engine.storyboard import HAIR, Sheet

_GLOBAL = ("-nostdin", "-hide_banner", "-v", "error", "-y", "-max_alloc", str(codecs.LARGEST_ALLOCATION))
_STRICT = ("-xerror",)
_TO_NOTHING = {"f": "null", "fps_mode": "passthrough", "enc_time_base:v": "1:90000"}
"""With times fine enough that no two frames fall on one, which would be told as an error."""
_PROGRESS = ("-nostats", "-stats_period", "0.5", "-progress", "pipe:1")
_BT709 = {"color_range": "tv", "colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
_WITHOUT_SEI = "filter_units=remove_types=6"
"""Takes out H.264's SEI units: cameras write positions there, and x264 its settings."""
_WELL = {"preset": "superfast", "crf": 20, "x264-params": "rc-lookahead=10:mbtree=1:trellis=1", "g": 120}
"""With what `superfast` leaves out and is worth its time: better and smaller for the same seconds."""
_AT_ONCE = {"preset": "ultrafast", "crf": 23, "tune": "zerolatency", "g": 60}
"""For a view that cannot wait."""
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
_STREAM_PROBE = 2 * 1024**2
"""Bytes that ffmpeg may look at before it begins to show them."""
POSTER_SIDE = 1280
LUMA_SIDE = 32
_LUMA_FILTERS = f"scale={LUMA_SIDE}:{LUMA_SIDE}:flags=area,format=gray"
_POSTER_QUALITY, _STORYBOARD_QUALITY = 3, 4
_JPEG = {"c:v": "mjpeg", "f": "image2", **_NAMELESS}
_ONE_JPEG = {**_JPEG, "frames:v": 1, "update": 1}
_FILM = "[film]"
_RAW = {"c:v": "rawvideo", "f": "rawvideo"}


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What an encode makes beside the MP4, of the frames that it has decoded anyway."""

    moments: tuple[float, ...]
    """Seconds after the first frame, rising: there, and of the first frame, a poster is taken."""
    interval: float
    """At least so many seconds lie between two pictures of the storyboard."""
    small: tuple[int, int]
    """Width and height of one of them, in pixels."""
    posters: str = "poster%d.jpg"
    """Numbered from 0."""
    luma: str = "posters.luma"
    """32 x 32 grey bytes for each poster, in turn."""
    storyboard: str = "storyboard.raw"
    """The small pictures in turn, as planes of 4:2:0."""


def conversion(
    plan: Plan, limits: Limits, source: str, output: str, pictures: Pictures | None = None
) -> list[str]:
    """Make the MP4 that every browser plays: H.264 and AAC, index first, no metadata of any kind.

    Where the picture is copied, ffmpeg stops at the first error: what it would go on with is not clean.
    """
    opened = _opened(source, plan.container, limits)
    options = {
        **_NAMELESS,
        **_video_options(plan.video, _WELL),
        **_audio_options(plan.audio),
        "t": limits.duration + _PAST_LIMIT,
        "f": "mp4",
        "movflags": "+faststart",
        "empty_hdlr_name": 1,
    }
    if pictures:
        options |= {"filter_complex": _shared_graph(plan.video, pictures), "map": _FILM}
        film = ffmpeg.output(opened, f"file:{output}", **options)
        words = ffmpeg.get_args(ffmpeg.merge_outputs(film, *_picture_outputs(opened, pictures)))
        if plan.audio.index is not None:
            behind = words.index(_FILM) + 1  # ffmpeg-python knows of one `-map` where a label is named
            words[behind:behind] = ["-map", f"0:{plan.audio.index}"]
        return [*_GLOBAL, *_PROGRESS, *words]
    options |= _filters(plan.video)
    streams = [opened[str(index)] for index in (plan.video.index, plan.audio.index) if index is not None]
    strict = _STRICT if plan.video.treatment is Treatment.COPY else ()
    return [
        *_GLOBAL,
        *strict,
        *_PROGRESS,
        *ffmpeg.get_args(ffmpeg.output(*streams, f"file:{output}", **options)),
    ]


def _shared_graph(plan: VideoPlan, pictures: Pictures) -> str:
    """The film's filters once, and from their end what the pictures need."""
    chains = (
        f"[0:{plan.index}]{','.join(plan.filters)},split=3{_FILM}[moments][board]",
        f"[moments]{_at(pictures.moments)},split[posters][luma]",
        f"[posters]{_poster_filters(plan)}[poster]",
        f"[luma]{_LUMA_FILTERS}[grey]",
        f"[board]{_every(pictures.interval)},{_small(pictures.small, plan)}[small]",
    )
    return ";".join(chains)


def _picture_outputs(opened: Any, pictures: Pictures) -> list[Any]:
    made = (
        ("[poster]", pictures.posters, {**_JPEG, "q:v": _POSTER_QUALITY, "start_number": 0}),
        ("[grey]", pictures.luma, _RAW),
        ("[small]", pictures.storyboard, _RAW),
    )
    return [
        ffmpeg.output(opened, f"file:{name}", map=label, fps_mode="passthrough", **form)
        for label, name, form in made
    ]


def _at(moments: Sequence[float]) -> str:
    """Of all frames, the first, and the first one at or after each of these moments."""
    since = "prev_selected_t-start_t"
    crossed = [rf"gte(t-start_t\,{at:.6f})*lt({since}\,{at:.6f})" for at in moments]
    return "select=" + "+".join(["isnan(prev_selected_t)", *crossed])


def _every(interval: float) -> str:
    """Of all frames, those that lie so many seconds apart: as `storyboard` counts on."""
    return rf"select=isnan(prev_selected_t)+gte(t-prev_selected_t\,{interval - HAIR:.6f})"


def streamed(plan: Plan, limits: Limits, pipe: str, sound: tuple[str, str] | None = None) -> list[str]:
    """A fragmented MP4 on standard output, a fifth of a second at a time, from a pipe.

    `sound`: pipe and container of the plan's audio, if it is not in the film. Both are of one clock: what
    lies between their beginnings stays between them.
    """
    looks: dict[str, Any] = {"probesize": _STREAM_PROBE, "analyzeduration": 1_000_000}
    film = _opened(pipe, plan.container, limits, **looks)
    heard = _opened(*sound, limits, **looks, isync=0) if sound else film
    streams = [film[str(plan.video.index)]]
    if plan.audio.index is not None:
        streams.append(heard[str(plan.audio.index)])
    options = {
        **_NAMELESS,
        **_video_options(plan.video, _AT_ONCE),
        **_filters(plan.video),
        **_audio_options(plan.audio),
        "t": limits.duration + _PAST_LIMIT,
        "f": "mp4",
        "movflags": "+frag_keyframe+delay_moov+default_base_moof",
        "frag_duration": 200_000,
        "max_interleave_delta": 1_000_000,
        "empty_hdlr_name": 1,
    }
    return [*_GLOBAL, "-nostats", *ffmpeg.get_args(ffmpeg.output(*streams, "pipe:1", **options))]


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
    """A piece of a film to try, from a key frame on."""

    start: float
    """Seconds."""
    frames: int


def spots(found: Packets, pixels: int) -> list[Spot]:
    """The first and the last group of pictures, or what a moment decodes of them, and key frames between.

    `pixels` are those of one frame. Of a group that needs frames before it, the key frame only.
    """
    most, keys = max(1, _SPOT_PIXELS // max(pixels, 1)), found.keyframes
    between = [keys[len(keys) * part // 3] for part in (1, 2)]
    whole = [key for key in (keys[-1], keys[0]) if key in found.restarts]
    chosen = dict.fromkeys((*between, keys[-1], keys[0]), 1)
    chosen |= {key: min(most, _length(found.times, keys, key)) for key in whole}
    return [Spot(start=start, frames=frames) for start, frames in sorted(chosen.items())]


def _length(times: Sequence[float], keyframes: Sequence[float], key: float) -> int:
    """Frames from a key frame to the next one, or to the end."""
    following = bisect_right(keyframes, key)
    end = bisect_left(times, keyframes[following]) if following < len(keyframes) else len(times)
    return end - bisect_left(times, key)


def decode_spots(limits: Limits, mp4: str, tried: Sequence[Spot]) -> list[str]:
    """For ffprobe, which opens the MP4 once for all pieces and prints a line for each frame."""
    intervals = ",".join(f"{spot.start + HAIR:.6f}%+#{spot.frames}" for spot in tried)
    return [
        *guarded("mov", limits),
        *("-select_streams", "v:0", "-read_intervals", intervals),
        *("-show_entries", "frame=pts_time", "-of", "csv=p=0", f"file:{mp4}"),
    ]


def _from_key_frame(at: float) -> dict[str, Any]:
    """Begin with the key frame that is shown at this time, without looking at the frames before it.

    Without a seek for the first: the whole film may be shorter than a hair.
    """
    return {"ss": f"{at + HAIR:.6f}", "noaccurate_seek": None} if at > 0 else {}


def _from_any_frame(at: float) -> dict[str, Any]:
    return {"ss": f"{max(0.0, at - HAIR):.6f}"}


def poster(
    limits: Limits, source: str, moment: Moment, colours: VideoPlan, into: tuple[str, str]
) -> list[str]:
    """One frame of our own MP4 as a JPEG, and its brightness as 32 x 32 grey bytes."""
    picture, luma = into
    start = _from_key_frame(moment.at) if moment.is_key else _from_any_frame(moment.at)
    frames = _opened(source, "mov", limits, **start)["v:0"]
    jpeg = {"vf": _poster_filters(colours), **_ONE_JPEG, "q:v": _POSTER_QUALITY}
    grey = {"vf": _LUMA_FILTERS, "frames:v": 1, **_RAW}
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
    select, size = _every(laid_out.interval), (laid_out.width, laid_out.height)
    tiles = f"tile={laid_out.columns}x{laid_out.rows}"
    jpeg = {"vf": f"{select},{_small(size, colours)},{tiles}", **_ONE_JPEG, "q:v": _STORYBOARD_QUALITY}
    bytes_ = {"vf": f"{select},scale=1:1,format=gray", **_RAW}
    both = ffmpeg.merge_outputs(
        ffmpeg.output(frames, f"file:{picture}", fps_mode="passthrough", **jpeg),
        ffmpeg.output(frames, f"file:{count}", fps_mode="passthrough", **bytes_),
    )
    return [*_GLOBAL, *_PROGRESS, *ffmpeg.get_args(both)]


def tiled(laid_out: Sheet, pictures: str, picture: str) -> list[str]:
    """The sheet as one JPEG, of small pictures that an encode has made."""
    opened = ffmpeg.input(
        f"file:{pictures}",
        f="rawvideo",
        pixel_format="yuvj420p",
        video_size=(laid_out.width, laid_out.height),
        protocol_whitelist=codecs.PROTOCOLS,
    )
    chosen = rf"select=not(mod(n\,{laid_out.step})),tile={laid_out.columns}x{laid_out.rows}"
    options = {"vf": chosen, **_ONE_JPEG, "q:v": _STORYBOARD_QUALITY}
    return [*_GLOBAL, *_PROGRESS, *ffmpeg.get_args(ffmpeg.output(opened, f"file:{picture}", **options))]


def _poster_filters(colours: VideoPlan) -> str:
    return f"{_shrunk(POSTER_SIDE)},{_as_jpeg(colours)}"


def _small(size: tuple[int, int], colours: VideoPlan) -> str:
    return f"scale={size[0]}:{size[1]}:flags=area,setsar=1,{_as_jpeg(colours)}"


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


def _video_options(plan: VideoPlan, x264: dict[str, Any]) -> dict[str, Any]:
    if plan.treatment is Treatment.COPY:
        return {"c:v": "copy", "bsf:v": _WITHOUT_SEI}
    return {
        "fps_mode": "vfr",
        "enc_time_base:v": "1:90000",
        "c:v": "libx264",
        **x264,
        "profile:v": "high",
        "bsf:v": _WITHOUT_SEI,
        **_BT709,
    }


def _filters(plan: VideoPlan) -> dict[str, str]:
    return {"vf": ",".join(plan.filters)} if plan.filters else {}


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
