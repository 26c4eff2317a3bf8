"""Decide what to do with a video, and say why. Pure: facts and limits in, plan out."""

from collections.abc import Iterator
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
_TURNS = {
    90: ("transpose=cclock", "transpose=clock"),
    180: ("hflip,vflip", "hflip,vflip"),
    270: ("transpose=clock", "transpose=cclock"),
}
"""Degrees clockwise to what undoes ffmpeg's own turn and what does it again: half pictures are lines, which
must lie as they were filmed while they are made into one."""
_COMMON_RATES = {44100, 22050, 11025, 88200}
_COPIED_PROFILES = {"Constrained Baseline", "Baseline", "Main", "High"}
_COPIED_PIXELS = {"yuv420p", "yuvj420p"}
_COPIED_LEVEL = 52
_COPIED_LONG, _COPIED_SHORT = 4096, 2304
"""Pixels: what every browser's decoder for level 5.2 takes."""
_COPIED_SOUND = {"LC", "HE-AAC", "HE-AACv2"}
_COPIED_CHANNELS = 6


@dataclass(frozen=True, kw_only=True)
class VideoPlan:
    index: int
    treatment: Treatment
    width: int
    """Of the output, in display pixels."""
    height: int
    matrix: str
    """The output's colours as they are to be understood, said or not: `bt709`, `smpte170m`, …"""
    range: str
    """`tv` or `pc`."""
    filters: tuple[str, ...] = ()
    """ffmpeg's filters in their order, after its own rotation. None where the stream is copied."""
    thinned: bool = False
    """Frames are left out on purpose."""


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

    @property
    def copies(self) -> bool:
        """Whether any stream is taken over as it is."""
        return Treatment.COPY in (self.video.treatment, self.audio.treatment)


def plan(facts: SourceFacts, limits: Limits, *, copying: bool = True) -> Plan:
    """What to keep, how, and why. Without `copying`, every stream is encoded.

    Raises BadInput: `encrypted`, `no_video_stream`, `unsupported_codec`, `damaged`, `too_many_pixels`,
    `too_long`.
    """
    if facts.encrypted:
        raise BadInput(FailureCode.ENCRYPTED, "A track is encrypted.")
    video, choice = _choose_video(facts)
    _refuse(video, facts, limits)
    audio, audio_reasons = _plan_audio(facts, copying=copying)
    treatment, video_reasons = _plan_video(video, facts, limits, copying=copying)
    return Plan(
        container=facts.container,
        video=treatment,
        audio=audio,
        duration=video.duration or facts.duration,
        video_duration=video.duration if facts.container == "mov" and not facts.fragmented else None,
        reasons=(*choice, *video_reasons, *audio_reasons, *_dropped(facts), *_doubts(facts)),
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


def _plan_video(
    video: VideoStream, facts: SourceFacts, limits: Limits, *, copying: bool
) -> tuple[VideoPlan, tuple[str, ...]]:
    obstacles = [
        *_obstacles(video, facts.container),
        *_unless(copying, "video_codec", "a copy is not wanted"),
    ]
    if obstacles:
        return _encoded(video, facts.container, limits, obstacles)
    copied = VideoPlan(
        index=video.index,
        treatment=Treatment.COPY,
        width=video.width,
        height=video.height,
        matrix=_matrix(video, _guessed_matrix(video)),
        range=_range(video),
    )
    level = (video.level or 0) / 10
    words = f"video_copy: {video.codec} {video.profile} at level {level} plays everywhere as it is"
    return copied, (words, *_orientation(video))


def _encoded(
    video: VideoStream, container: str, limits: Limits, obstacles: list[str]
) -> tuple[VideoPlan, tuple[str, ...]]:
    width, height = output_size(video, limits.long_side)
    steps = (
        _from_the_start(container),
        _deinterlace(video),
        _thin_out(video),
        _resize(video, limits.long_side, (width, height)),
        _tone_map(video) if video.hdr else _to_bt709(video),
    )
    filters = [filters for filters, _ in steps if filters]
    tagged = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    chosen = VideoPlan(
        index=video.index,
        treatment=Treatment.ENCODE,
        width=width,
        height=height,
        matrix="bt709",
        range="tv",
        filters=(*filters, "format=yuv420p", tagged),
        thinned=_is_fast(video),
    )
    said = {obstacle.partition(":")[0] for obstacle in obstacles}
    notes = [*_orientation(video), *(reason for _, reason in steps if reason)]
    return chosen, (*obstacles, *(note for note in notes if note.partition(":")[0] not in said))


def _obstacles(video: VideoStream, container: str) -> Iterator[str]:
    """Why the picture cannot be copied, each as `code: words`."""
    yield from _unless(video.codec == "h264", "video_codec", f"{video.codec} does not play in every browser")
    if video.codec != "h264":
        return
    profile, pixels, level = video.profile or "unknown", video.pixel_format or "unknown", video.level
    long, short = sorted((video.coded_width, video.coded_height), reverse=True)
    size = f"{long}x{short} is more than browsers take"
    fits = long <= _COPIED_LONG and short <= _COPIED_SHORT
    turn = "browsers do not mirror, nor turn by anything but quarters"
    upright = video.rotation % 90 == 0 and not video.mirrored
    yield from _unless(
        profile in _COPIED_PROFILES, "video_profile", f"browsers do not play profile {profile}"
    )
    yield from _unless(pixels in _COPIED_PIXELS, "pixel_format", f"browsers do not play {pixels}")
    yield from _unless(
        level is not None and level <= _COPIED_LEVEL, "video_level", f"level {level or 'unknown'} is too high"
    )
    yield from _unless(not video.interlaced, "interlaced", "two half pictures are made into one whole")
    yield from _unless(
        not video.hdr, "hdr", f"{video.hdr} is tone-mapped to the BT.709 that every screen shows"
    )
    yield from _unless(container in codecs.COPIED_FROM, "container", f"time stamps of {container} are unsure")
    yield from _unless(video.has_extradata, "extradata", "the parameters of the stream are not in its header")
    yield from _unless(fits, "size_limit", size)
    yield from _unless(upright, "orientation", turn)
    yield from _unless(
        not video.turned_inside, "orientation", "the turn is in the frames, where it would be lost"
    )
    yield from _unless(
        not video.cropped, "cropped", "the container cuts off edges, which browsers would show"
    )
    yield from _unless(not video.cut, "edit_list", "frames that were cut away would come back in a copy")
    yield from _unless(not video.changing, "changing", "the format changes on the way")


def _unless(holds: bool, code: str, words: str) -> tuple[str, ...]:  # noqa: FBT001 - reads as a sentence
    return () if holds else (f"{code}: {words}",)


def video_of(facts: SourceFacts, chosen: Plan) -> VideoStream:
    """The stream of the source that the plan is about."""
    return next(stream for stream in facts.video if stream.index == chosen.video.index)


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


def _from_the_start(container: str) -> Step:
    """AVI only says in which order frames are decoded. Those that wait for others would delay the picture."""
    return ("setpts=PTS-STARTPTS" if container == "avi" else "", "")


def _deinterlace(video: VideoStream) -> Step:
    if not video.interlaced:
        return NOTHING
    back, again = _TURNS.get(video.rotation, ("", "")) if not video.mirrored else ("", "")
    steps = ",".join(filter(None, (back, "bwdif=mode=send_frame", again)))
    return steps, "interlaced: two half pictures are made into one whole"


def _is_fast(video: VideoStream) -> bool:
    return (video.frame_rate or 0) > _HIGHEST_RATE


def _thin_out(video: VideoStream) -> Step:
    """Only ever drops frames; those that stay keep their time."""
    if not _is_fast(video):
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


def _plan_audio(facts: SourceFacts, *, copying: bool) -> tuple[AudioPlan, tuple[str, ...]]:
    """The first stream that can be decoded."""
    chosen = next((stream for stream in facts.audio if _is_readable(stream)), None)
    skipped = [stream for stream in facts.audio if chosen is None or stream.index < chosen.index]
    reasons = [f"audio_skipped: {stream.codec or 'unknown codec'} cannot be decoded" for stream in skipped]
    if chosen is None:
        return NO_AUDIO, (*reasons, "no_audio: there is no sound that can be kept")
    obstacles = [*_sound_obstacles(chosen, facts.container)]
    obstacles += _unless(copying, "audio_codec", "a copy is not wanted")
    treatment = AudioPlan(
        index=chosen.index,
        treatment=Treatment.ENCODE if obstacles else Treatment.COPY,
        channels=min(2, chosen.channels) if obstacles else chosen.channels,
        sample_rate=_nearest_rate(chosen) if obstacles else chosen.sample_rate,
    )
    copied = f"audio_copy: AAC {chosen.profile} plays everywhere as it is"
    return treatment, (*reasons, *(obstacles or (copied,)))


def _sound_obstacles(sound: AudioStream, container: str) -> Iterator[str]:
    """Why the sound cannot be copied, each as `code: words`."""
    yield from _unless(sound.codec == "aac", "audio_codec", f"{sound.codec} does not play in every browser")
    if sound.codec != "aac":
        return
    profile = sound.profile or "unknown"
    many = f"{sound.channels} channels are too many"
    yield from _unless(profile in _COPIED_SOUND, "audio_profile", f"browsers do not play AAC {profile}")
    yield from _unless(sound.channels <= _COPIED_CHANNELS, "audio_channels", many)
    yield from _unless(not sound.cut, "audio_edit_list", "sound that was cut away would come back in a copy")
    yield from _unless(sound.has_extradata, "audio_extradata", "the parameters are not in the header")
    yield from _unless(
        container in codecs.COPIED_FROM, "audio_container", f"AAC in {container} is framed in another way"
    )


def _nearest_rate(sound: AudioStream) -> int:
    return 44100 if sound.sample_rate in _COMMON_RATES else 48000


def _is_readable(stream: AudioStream) -> bool:
    return stream.codec in codecs.AUDIO and stream.channels > 0 and stream.sample_rate > 0


def _dropped(facts: SourceFacts) -> tuple[str, ...]:
    count = facts.other_streams
    return (f"other_streams: {count} of metadata, timecode or subtitles left out",) if count else ()


def _doubts(facts: SourceFacts) -> tuple[str, ...]:
    """What an admin should know about the end. Refusing would not bring back what the camera never wrote."""
    if facts.torn:
        return ("end_torn: the file breaks off in the middle of a packet; all that is there is kept",)
    if facts.container in codecs.WITHOUT_LENGTH:
        return (f"end_unknown: {facts.container} does not say how long it is; a missing end is not noticed",)
    return ()
