"""What to tell the person who sent a video that could not be used: what is wrong, and what to do now."""

from transcoding.engine.contracts import FailureCode


def translatable(text: str) -> str:
    """Marks a sentence for the catalogues. The engine itself speaks English; its callers translate."""
    return text


_SENTENCES = {
    FailureCode.NOT_A_VIDEO: translatable(
        "This file is not a video. Please choose a video from your phone and send it again."
    ),
    FailureCode.UNSUPPORTED_CODEC: translatable(
        "We cannot read this kind of video. "
        "Please film it again with the normal camera app of your phone and send it."
    ),
    FailureCode.ENCRYPTED: translatable(
        "This video is locked against copying. Please send one that you filmed yourself."
    ),
    FailureCode.NO_VIDEO_STREAM: translatable(
        "This file has sound but no moving picture. Please choose another video."
    ),
    FailureCode.DAMAGED: translatable(
        "Part of this video is missing or broken. "
        "Please check that it plays on your phone, then send it again."
    ),
    FailureCode.TOO_LONG: translatable(
        "This video is too long. Please send a shorter one, or cut it into parts."
    ),
    FailureCode.TOO_LARGE: translatable("This video is too big. Please send a shorter one."),
    FailureCode.TOO_MANY_PIXELS: translatable(
        "The picture of this video is too large. Please film it again with the normal setting of your camera."
    ),
    FailureCode.EMPTY: translatable(
        "This file is empty. Please choose the video once more and send it again."
    ),
    FailureCode.TIMED_OUT: translatable("This video took too long to get ready. Please send a shorter one."),
    FailureCode.OUTPUT_INVALID: translatable(
        "Something went wrong while we got this video ready. "
        "Please send it again. If it fails once more, please tell the clinic."
    ),
    FailureCode.SOURCE_MISSING: translatable("We can no longer find this video. Please send it again."),
    FailureCode.CHECKSUM_MISMATCH: translatable("This video did not arrive whole. Please send it again."),
    FailureCode.CANCELLED: translatable(
        "Getting this video ready was stopped. Please ask the clinic if you should send it again."
    ),
    FailureCode.WORKER_LOST: translatable(
        "We could not get this video ready because of a fault on our side. "
        "You do not need to send it again. The clinic can see what happened."
    ),
}


def explain(code: FailureCode) -> str:
    """One or two plain sentences, fit for a reader of nine years."""
    return _SENTENCES[code]
