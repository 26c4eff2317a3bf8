"""Decide what to do with a video, and say why. Pure: facts and limits in, plan out."""

from dataclasses import dataclass

from transcoding.engine import codecs
from transcoding.engine.contracts import FailureCode, Limits, Treatment
from transcoding.engine.errors import BadInput
from transcoding.engine.facts import AudioStream, Hdr, SourceFacts, VideoStream

_HIGHEST_RATE = 60.5
"""Frames per second; 60 by any camera's reckoning is not above it."""
_STILL_FRAMES = 2
"""A track with no more frames than this is a picture that came along, if there is another track."""
_DOLBY_VISION_ALONE = 5
"""The profile without a base layer that other decoders can show."""
_HD_WIDTH, _HD_LINES = 1280, 576
"""From here on untagged video is taken for BT.709, below for BT.601, as players do."""
_ALWAYS_601 = {"mjpeg", "vp8", "h263", "flv1", "svq1", "svq3", "cinepak"}
"""Codecs whose specification or practice knows no other matrix (JFIF 1.02, page 3; RFC 6386, 9.2)."""
_MATRICES = {"bt709", "bt470bg", "smpte170m", "smpte240m", "fcc", "bt2020nc", "bt2020c"}
_WIDE_PRIMARIES = {"bt2020", "smpte431", "smpte432", "film"}
"""Far enough from BT.709 to show on skin. SMPTE-C and EBU are taken for BT.709: cameras that name them
seldom mean more than the matrix."""
_COMMON_RATES = {44100, 22050, 11025, 88200}


@dataclass(frozen=True, kw_only=True)
class VideoPlan:
    index: int
    treatment: Treatment
    width: int
    """Of the output, in display pixels."""
    height: int
    filters: tuple[str, ...] = ()
    """ffmpeg's filters in their order, after its own rotation."""


@dataclass(frozen=True, kw_only=True)
class AudioPlan:
    index: int | None
    treatment: Treatment
    channels: int = 0
    sample_rate: int = 0


NO_AUDIO = AudioPlan(index=None, treatment=Treatment.NONE)


@dataclass(frozen=True, kw_only=True)
class Plan:
    container: str
    video: VideoPlan
    audio: AudioPlan
    duration: float | None
    """Seconds of the chosen video, or of the file; None if neither says."""
    video_duration: float | None
    """Seconds of the chosen video where its own index says so exactly, to hold the output against."""
    reasons: tuple[str, ...]
    """`code: words`."""


def plan(facts: SourceFacts, limits: Limits) -> Plan:
    """What to keep, how, and why.

    Raises BadInput: `encrypted`, `no_video_stream`, `unsupported_codec`, `damaged`, `too_many_pixels`,
    `too_long`.
    """
    if facts.encrypted:
        raise BadInput(FailureCode.ENCRYPTED, "A track is encrypted.")
    video, choice = _choose_video(facts)
    _refuse(video, facts, limits)
    audio, audio_reasons = _plan_audio(facts)
    treatment, video_reasons = _plan_video(video, limits)
    return Plan(
        container=facts.container,
        video=treatment,
        audio=audio,
        duration=video.duration or facts.duration,
        video_duration=video.duration if facts.container == "mov" else None,
        reasons=(*choice, *video_reasons, *audio_reasons, *_dropped(facts)),
    )


def _choose_video(facts: SourceFacts) -> tuple[VideoStream, tuple[str, ...]]:
    """Not a picture, not a still that came along; then the default; then the one with most frames."""
    moving = [stream for stream in facts.video if not stream.is_picture]
    lasting = [stream for stream in moving if stream.frames is None or stream.frames > _STILL_FRAMES]
    candidates = lasting or moving
    if not candidates:
        raise BadInput(FailureCode.NO_VIDEO_STREAM, "No stream holds a moving picture.")
    readable = [stream for stream in candidates if stream.codec in codecs.VIDEO]
    if not readable:
        raise BadInput(FailureCode.UNSUPPORTED_CODEC, f"Video codec {candidates[0].codec or 'unknown'}.")
    chosen = max(readable, key=lambda stream: (stream.is_default, stream.frames or 0))
    several = f"video_stream: stream {chosen.index} of {len(facts.video)} video streams is the film"
    return chosen, (several,) if len(facts.video) > 1 else ()


def _refuse(video: VideoStream, facts: SourceFacts, limits: Limits) -> None:
    if not video.coded_width or not video.coded_height:
        raise BadInput(FailureCode.DAMAGED, "The picture has no size.")
    if video.coded_width * video.coded_height > limits.pixels:
        raise BadInput(FailureCode.TOO_MANY_PIXELS, f"{video.coded_width}x{video.coded_height}")
    if (video.duration or facts.duration or 0) > limits.duration:
        raise BadInput(FailureCode.TOO_LONG, f"More than {limits.duration:.0f} seconds.")
    if video.dolby_vision == _DOLBY_VISION_ALONE:
        raise BadInput(FailureCode.UNSUPPORTED_CODEC, "Dolby Vision profile 5.")


def _plan_video(video: VideoStream, limits: Limits) -> tuple[VideoPlan, tuple[str, ...]]:
    width, height = output_size(video, limits.long_side)
    steps = (
        _deinterlace(video),
        _thin_out(video),
        _resize(video, limits.long_side, (width, height)),
        _tone_map(video) if video.hdr else _to_bt709(video),
    )
    filters = [filters for filters, _ in steps if filters]
    reasons = [f"video_codec: {video.codec} is encoded anew; copying is not offered yet"]
    reasons += _orientation(video) + [reason for _, reason in steps if reason]
    tagged = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    return (
        VideoPlan(
            index=video.index,
            treatment=Treatment.ENCODE,
            width=width,
            height=height,
            filters=(*filters, "format=yuv420p", tagged),
        ),
        tuple(reasons),
    )


def output_size(video: VideoStream, long_side: int) -> tuple[int, int]:
    """Display size of the output: even, in shape, its long side no longer than `long_side`."""
    width, height, aspect = float(video.coded_width), float(video.coded_height), video.sample_aspect
    if video.rotation % 180 == 90:  # noqa: PLR2004 - ffmpeg turns the picture before any filter sees it
        width, height, aspect = height, width, 1 / aspect
    scale = min(1.0, long_side / max(width * aspect, height))
    return _even(width * aspect * scale), _even(height * scale)


def _even(side: float) -> int:
    """The nearest even number of at least two: 4:2:0 has one colour sample for two pixels."""
    return max(2, int(side / 2 + 0.5) * 2)


Step = tuple[str, str]
"""(filters or nothing, reason or nothing)."""
NOTHING: Step = ("", "")


def _orientation(video: VideoStream) -> list[str]:
    turned = [f"rotated: turned by {video.rotation} degrees"] if video.rotation else []
    return [*turned, "mirrored: shown as the camera's mirror image"] if video.mirrored else turned


def _deinterlace(video: VideoStream) -> Step:
    if not video.interlaced:
        return NOTHING
    return "bwdif=mode=send_frame", "interlaced: two half pictures are made into one whole"


def _thin_out(video: VideoStream) -> Step:
    """Only ever drops frames; those that stay keep their time."""
    if (video.frame_rate or 0) <= _HIGHEST_RATE:
        return NOTHING
    drop = r"select=isnan(prev_selected_t)+gte(t-prev_selected_t\,0.0155)"
    return drop, f"frame_rate: {video.frame_rate:.0f} frames a second are thinned out to 60"


def _resize(video: VideoStream, long_side: int, size: tuple[int, int]) -> Step:
    """By the size that the decoder really gives, so that a lying container cannot bend the picture."""
    turned = (video.coded_height, video.coded_width) if video.rotation % 180 == 90 else None  # noqa: PLR2004
    if size == (turned or (video.coded_width, video.coded_height)) and video.sample_aspect == 1:
        return NOTHING
    scale = rf"min(1\,{long_side}/max(iw*sar\,ih))"
    filters = (
        f"scale=w=max(2\\,trunc(iw*sar*{scale}/2+0.5)*2)"
        f":h=max(2\\,trunc(ih*{scale}/2+0.5)*2):flags=bicubic,setsar=1"
    )
    return filters, f"size: scaled from {video.width}x{video.height} to {size[0]}x{size[1]}"


def _tone_map(video: VideoStream) -> Step:
    """To BT.709 by way of linear light, the fastest chain that keeps skin from looking washed out."""
    transfer = {Hdr.HLG: "arib-std-b67", Hdr.PQ: "smpte2084"}[video.hdr]
    matrix, primaries = _matrix(video, "bt2020nc"), video.color_primaries or "bt2020"
    filters = (
        # `p` too: left out, it is what the frame says, which may be nothing.
        f"zscale=t=linear:npl=203:p={primaries}:tin={transfer}:min={matrix}:pin={primaries}:rin={_range(video)}",
        "format=gbrpf32le",
        "zscale=p=bt709",
        "tonemap=tonemap=mobius:desat=0:peak=10",
        "zscale=t=bt709:m=bt709:r=tv",
    )
    return ",".join(filters), f"hdr: {video.hdr} is tone-mapped to the BT.709 that every screen shows"


def _to_bt709(video: VideoStream) -> Step:
    """Convert matrix, range and wide primaries; a new tag alone would shift every colour."""
    matrix, scale = _matrix(video, _guessed_matrix(video)), _range(video)
    wide = video.color_primaries in _WIDE_PRIMARIES
    if matrix == "bt709" and scale == "tv" and not wide:
        return NOTHING
    primaries = video.color_primaries if wide else "bt709"
    filters = f"zscale=min={matrix}:rin={scale}:pin={primaries}:tin=bt709:m=bt709:r=tv:p=bt709:t=bt709"
    words = f"colour: {matrix} matrix, {scale} range" + (f", {primaries} primaries" if wide else "")
    return filters, f"{words} converted to BT.709"


def _matrix(video: VideoStream, otherwise: str) -> str:
    return video.color_matrix if video.color_matrix in _MATRICES else otherwise


def _guessed_matrix(video: VideoStream) -> str:
    is_hd = video.coded_width >= _HD_WIDTH or video.coded_height > _HD_LINES
    return "bt709" if is_hd and video.codec not in _ALWAYS_601 else "smpte170m"


def _range(video: VideoStream) -> str:
    return video.color_range or ("pc" if video.pixel_format.startswith("yuvj") else "tv")


def _plan_audio(facts: SourceFacts) -> tuple[AudioPlan, tuple[str, ...]]:
    """The first stream that can be decoded."""
    chosen = next((stream for stream in facts.audio if _is_readable(stream)), None)
    skipped = [stream for stream in facts.audio if chosen is None or stream.index < chosen.index]
    reasons = [f"audio_skipped: {stream.codec or 'unknown codec'} cannot be decoded" for stream in skipped]
    if chosen is None:
        return NO_AUDIO, (*reasons, "no_audio: there is no sound that can be kept")
    treatment = AudioPlan(
        index=chosen.index,
        treatment=Treatment.ENCODE,
        channels=min(2, chosen.channels),
        sample_rate=44100 if chosen.sample_rate in _COMMON_RATES else 48000,
    )
    return treatment, (*reasons, f"audio_codec: {chosen.codec} is encoded anew; copying is not offered yet")


def _is_readable(stream: AudioStream) -> bool:
    return stream.codec in codecs.AUDIO and stream.channels > 0 and stream.sample_rate > 0


def _dropped(facts: SourceFacts) -> tuple[str, ...]:
    count = facts.other_streams
    return (f"other_streams: {count} of metadata, timecode or subtitles left out",) if count else ()
