"""What can go wrong in the engine, apart from bad input, which is a result and not an exception."""

from transcoding.engine.contracts import FailureCode


class EngineError(Exception):
    """Base of everything that the engine raises."""


class SourceMissing(EngineError):
    """The store holds no such object. `transcode()` turns it into a result."""


class TransientFault(EngineError):
    """Not the video's fault: the same request may well succeed on another try, or another host."""


class FfmpegMissing(TransientFault):
    """No usable ffmpeg or ffprobe on this host."""


class DiskFull(TransientFault):
    """The work folder has no room for the conversion."""


class StoreUnavailable(TransientFault):
    """The object store could not be reached, or refused us."""


class ConverterKilled(TransientFault):
    """Something outside the engine killed ffmpeg: the host ran out of memory or is shutting down."""


class NotConfined(TransientFault):
    """A program could not be shut in as this host can, so it was not run."""


class BadInput(EngineError):
    """The video itself is at fault. Stays inside the engine: `convert()` turns it into a result."""

    def __init__(self, code: FailureCode, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else str(code))
        self.code = code
        self.detail = detail
