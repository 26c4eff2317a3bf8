"""What goes into a conversion and what comes out of it.

Everything here travels as JSON: to the Lambda, into the result file beside the source, and back to
the portal. Durations are in seconds, sizes in bytes, pictures in display pixels (after rotation).
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self


class FailureCode(StrEnum):
    """Why a video could not be made watchable. Closed: the portal explains each one in words."""

    NOT_A_VIDEO = "not_a_video"
    UNSUPPORTED_CODEC = "unsupported_codec"
    ENCRYPTED = "encrypted"
    NO_VIDEO_STREAM = "no_video_stream"
    DAMAGED = "damaged"
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    EMPTY = "empty"
    TIMED_OUT = "timed_out"
    OUTPUT_INVALID = "output_invalid"
    SOURCE_MISSING = "source_missing"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    CANCELLED = "cancelled"
    WORKER_LOST = "worker_lost"


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Treatment(StrEnum):
    """What happens to a stream. `NONE`: there is none, or none that can be kept."""

    COPY = "copy"
    ENCODE = "encode"
    NONE = "none"


class OutputKind(StrEnum):
    MP4 = "mp4"
    POSTER = "poster"
    STORYBOARD = "storyboard"
    """One JPEG of small pictures in a grid."""
    STORYBOARD_INDEX = "storyboard_index"
    """WebVTT: which of them belongs to which seconds."""
    FRAME_INDEX = "frame_index"
    """When each frame is shown: see `frames`."""


class Extras(StrEnum):
    """How far the work is that follows once a video can be watched."""

    NONE = ""
    """There is none: the conversion failed."""
    PENDING = "pending"
    DONE = "done"


class Jsonable:
    """A dataclass that travels as one JSON object."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Limits(Jsonable):
    """How much one conversion may cost before it is refused or stopped."""

    source_bytes: int = 5 * 1024**3
    output_bytes: int = 5 * 1024**3
    duration: float = 3600.0
    pixels: int = 35_651_584
    """Of one frame: 8192 x 4352, the largest that level 6.2 allows."""
    long_side: int = 1920
    """Of the output, in pixels; larger pictures are scaled down, smaller ones left alone."""
    seconds: float = 3000.0
    """Wall clock for each ffmpeg run."""
    stall_seconds: float = 120.0
    """Without a word from ffmpeg, before it counts as hung."""
    memory_bytes: int = 4 * 1024**3
    """Address space of an ffmpeg process."""


@dataclass(frozen=True, kw_only=True)
class TranscodeRequest(Jsonable):
    """One conversion to do. Names no patient and no portal."""

    job: str
    """The id that the result is filed under."""
    attempt: int = 0
    """Which try at the job this is, so that a result file tells its own from an earlier one's."""
    source_key: str
    """Object key of the original: `<reference>/<40 hex>.<ext>`."""
    mp4_key_style: str = "web"
    """`web` gives `<stem>.web.mp4`; `plain` gives `<stem>.mp4`."""
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        return cls(**{**values, "limits": Limits.from_dict(values.get("limits", {}))})


@dataclass(frozen=True, kw_only=True)
class Output(Jsonable):
    """One object that a conversion made."""

    kind: OutputKind
    key: str
    content_type: str
    size: int
    sha256: str
    """64 hexadecimal digits."""
    width: int | None = None
    height: int | None = None
    duration: float | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        return cls(**{**values, "kind": OutputKind(values["kind"])})


@dataclass(frozen=True, kw_only=True)
class TranscodeResult(Jsonable):
    """What became of one request: the content of the result file, word for word."""

    job: str
    attempt: int = 0
    outcome: Outcome
    code: FailureCode | None = None
    """Set if, and only if, the outcome is `failed`."""
    message: str = ""
    """A sentence for a person without technical knowledge; empty on success."""
    detail: str = ""
    """For the admin: what the tools said, cleaned of paths and addresses."""
    video: Treatment = Treatment.NONE
    audio: Treatment = Treatment.NONE
    reasons: tuple[str, ...] = ()
    """Each decision of the plan, as `code: words`."""
    facts: dict[str, Any] = field(default_factory=dict)
    """`SourceFacts` as a dictionary; empty if the source could not be probed."""
    outputs: tuple[Output, ...] = ()
    extras: Extras = Extras.NONE
    """Set if, and only if, the outcome is `succeeded`. Storyboard, and the decode check of a copy."""
    swapped: bool = False
    """The copy that was published first could not be decoded whole; another MP4 has taken its place."""
    source_size: int | None = None
    source_sha256: str = ""
    ffmpeg_version: str = ""
    ffmpeg_arguments: tuple[str, ...] = ()
    log_tail: str = ""
    """The last lines of ffmpeg's standard error, cleaned of paths and addresses."""
    seconds: float = 0.0
    """Wall clock of the whole conversion, transfer included."""
    cpu_seconds: float = 0.0
    """User and system time of every child process."""
    peak_memory: int = 0
    """Largest resident set of a child process, in bytes."""

    def output(self, kind: OutputKind) -> Output | None:
        return next((output for output in self.outputs if output.kind == kind), None)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        return cls(
            **{
                **values,
                "outcome": Outcome(values["outcome"]),
                "code": FailureCode(values["code"]) if values.get("code") else None,
                "extras": Extras(values.get("extras", "")),
                "video": Treatment(values["video"]),
                "audio": Treatment(values["audio"]),
                "reasons": tuple(values["reasons"]),
                "outputs": tuple(Output.from_dict(output) for output in values["outputs"]),
                "ffmpeg_arguments": tuple(values["ffmpeg_arguments"]),
            }
        )


OnProgress = Callable[[float], None]
"""Called with the fraction done, 0 to 1, at least once a second while bytes move or ffmpeg works.

What it raises stops the conversion: every child process is killed, the work folder emptied, and the
exception goes on to the caller. That is how a worker that lost its lease, or a cancelled job, ends.
"""


OnReady = Callable[[TranscodeResult], None]
"""Called once the video can be watched: MP4, poster, frame index and result file are in the store.

The result is complete but for the extras, which are `pending`. What it raises ends the work as what
`on_progress` raises does.
"""


class ObjectStore(Protocol):
    """What `transcode()` asks of the store. `S3Store` is the one that the product uses."""

    def download(self, key: str, path: Path, on_bytes: Callable[[int], None] | None = None) -> None:
        """Write the object to `path`. Raises `SourceMissing` if there is no such object."""

    def upload(
        self,
        path: Path,
        key: str,
        content_type: str,
        metadata: dict[str, str],
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        """Store the file under `key`: private, encrypted at rest, replacing what is there."""

    def size(self, key: str) -> int | None:
        """Size of the object, or None if there is none."""
