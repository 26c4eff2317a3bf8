"""What the probe found out about a video file: technical values only.

Facts are stored and shown to admins, so nothing here says where, when, with what or by whom a video
was made.
"""

from dataclasses import dataclass
from enum import StrEnum

from transcoding.engine.contracts import Jsonable


class Hdr(StrEnum):
    """How a picture brighter than a normal screen is written."""

    NONE = ""
    HLG = "hlg"
    PQ = "pq"


@dataclass(frozen=True, kw_only=True)
class VideoStream:
    index: int
    codec: str
    profile: str
    level: int | None
    pixel_format: str
    width: int
    """Display pixels: rotated as a player would, pixels made square."""
    height: int
    coded_width: int
    """As decoded and cropped, before rotation."""
    coded_height: int
    cropped: bool
    """The container cuts off edges."""
    sample_aspect: float
    """Width of a coded pixel divided by its height."""
    rotation: int
    """Degrees clockwise that a player turns the picture."""
    mirrored: bool
    turned_inside: bool
    """The frames, and not the container, say that the picture is to be turned or mirrored."""
    interlaced: bool
    color_range: str
    """`tv`, `pc`, or empty if the stream does not say. So for the other three."""
    color_matrix: str
    color_transfer: str
    color_primaries: str
    hdr: Hdr
    dolby_vision: int | None
    """Profile."""
    frame_rate: float | None
    """Frames per second, on average."""
    frames: int | None
    duration: float | None
    """Seconds, by the stream's own account."""
    start: float
    """Presentation time of the first frame, in seconds."""
    cut: bool
    """An edit list leaves out, or repeats, frames that the stream holds."""
    changing: bool
    """Size or codec change on the way."""
    has_extradata: bool
    is_default: bool
    is_picture: bool
    """A cover or a thumbnail."""


@dataclass(frozen=True, kw_only=True)
class AudioStream:
    index: int
    codec: str
    profile: str
    channels: int
    sample_rate: int
    duration: float | None
    start: float
    cut: bool
    """An edit list leaves out a piece in the middle, or repeats one."""
    has_extradata: bool
    is_default: bool


@dataclass(frozen=True, kw_only=True)
class SourceFacts(Jsonable):
    container: str
    """The demuxer: mov, matroska, avi, mpegts or mpeg."""
    size: int
    fragmented: bool
    """The container's index lists some of the frames, or none."""
    torn: bool
    """The file breaks off in the middle of a packet, so something is missing at its end."""
    duration: float | None
    """Seconds, by the container's account, which may be wrong."""
    start: float
    """Presentation time at which the first stream begins, in seconds."""
    encrypted: bool
    other_streams: int
    """Timed metadata, timecode, subtitles: everything that is dropped."""
    video: tuple[VideoStream, ...]
    audio: tuple[AudioStream, ...]
