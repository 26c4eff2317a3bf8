"""A video as it comes: whole fragments, first bytes at once, and nothing left behind."""

import contextlib
import gc
import os
import threading
import time

import pytest

from transcoding.engine import sources
from transcoding.engine import stream as module
from transcoding.engine.contracts import FailureCode, Limits
from transcoding.engine.errors import BadInput
from transcoding.engine.sources import NotSeekable, SourceFailed, in_reading_order
from transcoding.engine.stream import BudgetReached, SourceBroke, StreamEnded, StreamLimits, stream

from .support import H264, HEVC, MPEG4, PICTURE, SOUND, Clip, Judge, eventually, ffmpeg, processes_in

FILM = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=10")
TONE = ("-f", "lavfi", "-i", "sine=duration=10")


class Memory:
    """A file in memory, read as another server would give it."""

    def __init__(self, content, *, ranges=True, pause=0.0, breaks_at=None):
        self.content = content
        self.size = len(content) if ranges else None
        self.pause, self.breaks_at = pause, breaks_at
        self.fetched = 0
        self.closed = 0

    def read(self, start, end=None):
        if start and self.size is None:
            raise NotSeekable("no ranges")
        at, end = start, len(self.content) if end is None else end
        try:
            while at < end:
                time.sleep(self.pause)
                piece = self.content[at : min(at + 16384, end)]
                at += len(piece)
                if self.breaks_at is not None and at > self.breaks_at:
                    raise SourceFailed("gone")
                self.fetched += len(piece)
                yield piece
        finally:
            self.closed += 1


def boxes(content):
    """(kind, size) of each top-level box; fails where one is not whole."""
    found, at = [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        assert 8 <= size <= len(content) - at
        found.append((content[at + 4 : at + 8].decode(), size))
        at += size
    return found


@pytest.fixture(scope="session")
def film(clip: Clip):
    """Ten seconds with the index last, as a phone writes them."""
    return clip("film.mov", *FILM, *TONE, *H264, "-g", "25", "-c:a", "aac", "-shortest").read_bytes()


@pytest.fixture
def streamed(workdir):
    def collect(source, **limits):
        return b"".join(stream(source, workdir, StreamLimits(**limits)))

    return collect


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mov", H264), ("b.mov", HEVC), ("c.mp4", MPEG4), ("d.ts", H264), ("e.mkv", H264), ("f.avi", MPEG4)],
)
def test_any_container_becomes_one_fragmented_mp4(streamed, clip, judge: Judge, tmp_path, *, name, codec):
    source = clip(f"stream-{name}", *PICTURE, *SOUND, *codec, "-c:a", "aac")
    content = streamed(Memory(source.read_bytes()))

    kinds = [kind for kind, _ in boxes(content)]
    assert kinds[:3] == ["ftyp", "moov", "moof"]
    (tmp_path / "out.mp4").write_bytes(content)
    video = judge.video(tmp_path / "out.mp4")
    assert (video["codec_name"], video["width"], video["height"]) == ("h264", 320, 240)
    assert float(video["duration"]) == pytest.approx(1.0, abs=0.1)


def test_an_early_view_is_scaled_and_its_colours_are_converted(streamed, clip, judge: Judge, tmp_path):
    """White is 255 in the source, and 235 in what is tagged as it is here."""
    white = ("-f", "lavfi", "-i", "color=white:size=640x480:rate=25:duration=1", "-vf", "format=yuvj420p")
    full = clip("full.mov", *white, *HEVC[:-1], "yuvj420p", "-color_range", "pc", "-tag:v", "hvc1")

    content = streamed(Memory(full.read_bytes()), conversion=Limits(long_side=320))

    path = tmp_path / "early.mp4"
    path.write_bytes(content)
    video = judge.video(path)
    assert (video["width"], video["height"]) == (320, 240)
    assert (video["color_range"], video["color_space"]) == ("tv", "bt709")
    luma = ffmpeg("-i", path, "-frames:v", "1", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-")[0]
    assert luma == pytest.approx(235, abs=2)


def test_the_copy_is_the_same_picture_for_picture(streamed, film, judge, tmp_path):
    (tmp_path / "in.mov").write_bytes(film)
    (tmp_path / "out.mp4").write_bytes(streamed(Memory(film)))

    frames = [
        ffmpeg("-i", tmp_path / name, "-map", "0:v", "-f", "framemd5", "-") for name in ("in.mov", "out.mp4")
    ]
    sums = [
        [line.split(b",")[-1] for line in text.splitlines() if not line.startswith(b"#")] for text in frames
    ]
    assert sums[0] == sums[1]
    assert len(sums[0]) == 250


def test_an_index_at_the_end_is_fetched_first_and_nothing_twice(streamed, film):
    assert film.index(b"mdat") < film.index(b"moov")
    source = Memory(film)
    streamed(source)
    assert source.fetched < len(film) + 3 * sources.HEAD_BYTES


def test_what_is_put_in_reading_order_is_the_same_file(film, tmp_path):
    ordered = b"".join(in_reading_order(Memory(film)))

    assert len(ordered) == len(film)
    assert ordered.index(b"moov") < ordered.index(b"mdat")
    (tmp_path / "in.mov").write_bytes(film)
    (tmp_path / "ordered.mov").write_bytes(ordered)
    sums = [ffmpeg("-i", tmp_path / name, "-f", "md5", "-") for name in ("in.mov", "ordered.mov")]
    assert sums[0] == sums[1]


def test_large_offsets_are_moved_too():
    offset = 5 * 1024**3
    table = b"\0\0\0\0" + (1).to_bytes(4, "big") + offset.to_bytes(8, "big")
    index = _boxed(
        b"moov", _boxed(b"trak", _boxed(b"mdia", _boxed(b"minf", _boxed(b"stbl", _boxed(b"co64", table)))))
    )

    moved = sources.moved(index, 100, offset + 1)

    assert int.from_bytes(moved[-8:], "big") == offset + len(index)
    assert sources.moved(index, 100, offset)[-8:] == index[-8:]


def _boxed(kind, content):
    return (len(content) + 8).to_bytes(4, "big") + kind + content


@pytest.mark.parametrize(
    "table",
    [b"", b"\0" * 7, b"\0\0\0\0\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\x02\0\0\0\x01"],
)
def test_a_broken_index_is_damaged_and_no_traceback(streamed, table):
    index = _boxed(
        b"moov", _boxed(b"trak", _boxed(b"mdia", _boxed(b"minf", _boxed(b"stbl", _boxed(b"stco", table)))))
    )
    content = _boxed(b"ftyp", b"qt  \0\0\0\0") + _boxed(b"mdat", b"x" * 100) + index
    with pytest.raises(BadInput):
        streamed(Memory(content))


def test_without_ranges_an_index_at_the_end_cannot_be_had(streamed, film):
    with pytest.raises(NotSeekable):
        streamed(Memory(film, ranges=False))


def test_without_ranges_an_index_at_the_beginning_will_do(streamed, clip):
    source = clip("fast.mp4", *PICTURE, *H264, "-movflags", "+faststart")
    assert boxes(streamed(Memory(source.read_bytes(), ranges=False)))[0][0] == "ftyp"


def test_the_first_bytes_come_long_before_the_last_is_fetched(workdir, clip):
    film = clip(
        "large.mov",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=1280x720:rate=25:duration=20",
        *H264,
        "-q:v",
        "2",
        "-b:v",
        "8M",
        "-g",
        "25",
    )
    source = Memory(film.read_bytes(), pause=0.002)
    with contextlib.closing(stream(source, workdir, StreamLimits())) as pieces:
        first = next(pieces)
        assert first[4:8] == b"ftyp"
        assert source.fetched < len(source.content) / 2
        assert sum(map(len, pieces)) > len(source.content) / 2


def test_whatever_is_given_is_whole(workdir, film):
    sent = b""
    for piece in stream(Memory(film), workdir, StreamLimits()):
        sent += piece
        kinds = [kind for kind, _ in boxes(sent)]
        assert kinds[-1] in ("moov", "mdat", "mfra")


def test_it_makes_way_for_pages_and_goes_before_conversions(workdir, film):
    pieces = stream(Memory(film, pause=0.05), workdir, StreamLimits())
    with contextlib.closing(pieces):
        next(pieces)
        nice = {os.getpriority(os.PRIO_PROCESS, pid) for pid in processes_in(workdir)}
    assert nice == {max(5, os.getpriority(os.PRIO_PROCESS, 0))}


def test_closing_it_kills_ffmpeg_and_empties_the_folder(workdir, film):
    source = Memory(film, pause=0.05)
    pieces = stream(source, workdir, StreamLimits())
    next(pieces)
    assert processes_in(workdir)

    pieces.close()

    assert eventually(lambda: processes_in(workdir) == [])
    assert list(workdir.iterdir()) == []


def test_forgetting_it_does_the_same(workdir, film):
    pieces = stream(Memory(film, pause=0.05), workdir, StreamLimits())
    next(pieces)

    del pieces
    gc.collect()

    assert eventually(lambda: processes_in(workdir) == [])


def test_a_client_that_does_not_take_anything_stops_the_fetching(workdir, clip):
    film = clip(
        "back-pressure.mov",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=1280x720:rate=25:duration=20",
        *H264,
        "-b:v",
        "20M",
        "-bufsize",
        "1M",
        "-g",
        "25",
    )
    source = Memory(film.read_bytes())
    with contextlib.closing(stream(source, workdir, StreamLimits())) as pieces:
        next(pieces)
        assert eventually(lambda: stands_still(source))
        assert source.fetched < len(source.content)


def stands_still(source):
    before = source.fetched
    time.sleep(1.0)
    return source.fetched == before


def until_it_breaks(pieces):
    """(what came, what was raised)."""
    got = b""
    try:
        for piece in pieces:
            got += piece
    except StreamEnded as error:
        return got, error
    return got, None


def test_a_source_that_breaks_is_told_after_whole_fragments(workdir, film):
    limits = StreamLimits(source_bytes=len(film) * 3 // 4)
    got, error = until_it_breaks(stream(Memory(film), workdir, limits))
    assert isinstance(error, SourceBroke)
    assert boxes(got)[-1][0] == "mdat"


def test_a_source_that_breaks_before_anything_is_told_as_that(streamed, film):
    with pytest.raises(SourceFailed):
        streamed(Memory(film, breaks_at=10))


def test_the_bytes_of_a_stream_are_limited_to_whole_fragments(workdir, film):
    got, error = until_it_breaks(stream(Memory(film), workdir, StreamLimits(output_bytes=len(film) // 2)))
    assert isinstance(error, BudgetReached)
    assert 0 < len(got) <= len(film) // 2
    assert boxes(got)[-1][0] == "mdat"


@pytest.mark.parametrize("pause", [0.02, 0.5], ids=["while it is shown", "while it is opened"])
def test_the_time_of_a_stream_is_limited(workdir, film, pause):
    begun = time.monotonic()
    _, error = until_it_breaks(stream(Memory(film, pause=pause), workdir, StreamLimits(seconds=1)))
    assert isinstance(error, BudgetReached)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", FailureCode.EMPTY),
        (b"Dear doctor, my knee", FailureCode.NOT_A_VIDEO),
        (b"#EXTM3U\nfile:///etc/passwd\n", FailureCode.NOT_A_VIDEO),
        (_boxed(b"ftyp", b"qt  \0\0\0\0") + _boxed(b"mdat", b"x" * 100), FailureCode.DAMAGED),
    ],
)
def test_bad_input_is_said_before_the_first_byte(streamed, content, code):
    with pytest.raises(BadInput) as refused:
        streamed(Memory(content))
    assert refused.value.code == code


def test_limits_of_a_conversion_hold_for_a_stream(streamed, film):
    with pytest.raises(BadInput) as refused:
        streamed(Memory(film), conversion=Limits(duration=5.0))
    assert refused.value.code == FailureCode.TOO_LONG


def test_nothing_of_where_and_who_goes_out(streamed, phone_clip):
    content = streamed(Memory(phone_clip.read_bytes()))
    for secret in (b"52.52", b"Secretmaker", b"Mrs Example", b"left knee", b"Lavf", b"x264"):
        assert secret not in content


def test_no_thread_is_left(streamed, film):
    before = threading.active_count()
    streamed(Memory(film))
    assert eventually(lambda: threading.active_count() <= before)


def test_fragments_of_an_impossible_size_are_not_waited_for():
    with pytest.raises(module.ConversionBroke):
        module._Fragments().add(b"\xff\xff\xff\xffmdat")
