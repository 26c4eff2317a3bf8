"""Files made to harm: each ends in a code, reads no other file and leaves nothing running."""

import os
import random
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from transcoding.engine import convert as conversion
from transcoding.engine import probe as probing
from transcoding.engine.binaries import find_ffmpeg
from transcoding.engine.contracts import FailureCode, TranscodeRequest
from transcoding.engine.run import Budget, Run, run
from transcoding.engine.transcode import transcode

from .support import (
    H264,
    PICTURE,
    REPOSITORY,
    SOUND,
    Clip,
    Convert,
    FolderStore,
    Listener,
    box,
    boxes,
    changed,
    eventually,
    processes_in,
    without,
)


@pytest.fixture
def no_program_may_run(monkeypatch):
    """Any attempt to start ffmpeg or ffprobe fails the test."""

    def refuse(*args: object, **kwargs: object) -> None:
        pytest.fail("A program was started for a file that is no video.")

    monkeypatch.setattr(probing, "run", refuse)
    monkeypatch.setattr(conversion, "run", refuse)


@pytest.fixture
def neighbour(tmp_path: Path, clip: Clip) -> Path:
    """Another patient's video in the same folder, reachable by a relative name."""
    path = tmp_path / "neighbour.ts"
    shutil.copyfile(clip("neighbour.ts", *PICTURE, *H264), path)
    return path


CONCAT = "ffconcat version 1.0\nfile '{name}'\n"
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{name}\n#EXT-X-ENDLIST\n"


DEBIAN = Path("/usr/bin/ffmpeg")


def plain_ffmpeg() -> Path:
    """An ffmpeg as people run it: the system's where there is one, which trusts more than ours."""
    return DEBIAN if DEBIAN.exists() else find_ffmpeg().path


def plain_ffmpeg_reads(
    path: Path, *options: str, output: tuple[str, ...] = (), timeout: float = 60.0
) -> bool:
    """Whether ffmpeg, left to guess, makes a video of it: the attack that these files are."""
    arguments = ["-v", "error", *options, "-i", path.name, *output, "-f", "null", "-"]
    command = [plain_ffmpeg(), "-nostdin", *arguments]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, check=False, timeout=timeout)
    return done.returncode == 0


@pytest.mark.usefixtures("no_program_may_run")
@pytest.mark.parametrize(
    "payload",
    [
        CONCAT.format(name="/etc/passwd"),
        PLAYLIST.format(name="http://127.0.0.1:9/segment.ts"),
        PLAYLIST.format(name="file:///etc/passwd"),
        "<svg xmlns='http://www.w3.org/2000/svg'/>",
        "%s%n ../../x \u202e\n",
        "RIFF....WAVE",
    ],
)
def test_other_text_is_no_video_whatever_it_asks_for(tmp_path: Path, converted: Convert, payload: str):
    evil = tmp_path / "evil.mov"
    evil.write_text(payload)
    assert converted(evil).code == FailureCode.NOT_A_VIDEO


TRUSTING = ("-f", "hls", "-extension_picky", "0", "-protocol_whitelist", "file,http,tcp")
"""What ffmpeg was like by itself not long ago."""


@pytest.fixture
def listening_playlist(tmp_path: Path, listener: Listener) -> Path:
    path = tmp_path / "evil.mov"
    path.write_text(PLAYLIST.format(name=f"http://127.0.0.1:{listener.port}/segment.ts"))
    return path


def test_a_playlist_makes_no_connection(listening_playlist, listener: Listener, converted: Convert):
    plain_ffmpeg_reads(listening_playlist, *TRUSTING)
    assert eventually(lambda: listener.heard > 0), "The payload is no threat, so this test proves nothing."
    before = listener.heard
    assert converted(listening_playlist).code == FailureCode.NOT_A_VIDEO
    assert listener.heard == before


def test_an_ffmpeg_that_believes_a_script_still_gets_nowhere(
    tmp_path: Path, neighbour: Path, listening_playlist: Path, listener: Listener
):
    """The sandbox by itself: ffmpeg runs without any of our options, as if a bug had undone them."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "script").write_text(CONCAT.format(name="../neighbour.ts"))
    shutil.copyfile(listening_playlist, work / "playlist")
    believing = ["-v", "error", "-f", "concat", "-safe", "0", "-i", "script", "-f", "null", "-"]
    assert subprocess.run([find_ffmpeg().path, *believing], cwd=work, check=False).returncode == 0
    assert not _shut_in(work, believing).succeeded
    assert not _shut_in(work, ["-v", "error", *TRUSTING, "-i", "playlist", "-f", "null", "-"]).succeeded
    assert listener.heard == 0


def _shut_in(work: Path, arguments: list[str]) -> Run:
    budget = Budget(seconds=20, stall_seconds=20, memory_bytes=2**32, file_bytes=0)
    return run(find_ffmpeg(), arguments, folder=work, budget=budget, on_output=lambda chunk: True)


def reference_movie(neighbour: Path) -> bytes:
    """A QuickTime movie without content of its own, whose data reference names `neighbour`."""

    def to_the_neighbour(content: bytes) -> bytes:
        name, path = neighbour.name.encode(), f"/{neighbour.name}".encode()
        alias = bytes(50) + bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16)
        alias += struct.pack(">HH", 1, 1) + bytes(16)  # one folder up, and down again
        alias += struct.pack(">HH", 2, len(path)) + path + struct.pack(">hH", -1, 0)
        return struct.pack(">II", 0, 1) + box(b"alis", bytes(4) + alias)

    where = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref")
    movie = changed(neighbour.read_bytes(), where, to_the_neighbour)
    return b"".join(box(kind, content) for kind, content in boxes(movie) if kind != b"mdat")


def movie_list(neighbour: str) -> bytes:
    """A QuickTime movie that is only a list of other movies."""
    reference = box(
        b"rdrf", struct.pack(">I4sI", 0, b"url ", len(neighbour) + 1) + neighbour.encode() + b"\0"
    )
    return box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"rmra", box(b"rmda", reference)))


SUBTITLES = "# VobSub index file, v7\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n"
"""ffmpeg opens the file beside it that has the same name and ends in .sub."""
MANIFEST = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
    ' profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"'
    ' mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="0"'
    ' bandwidth="1000"><BaseURL>{name}</BaseURL></Representation></AdaptationSet></Period></MPD>'
)
SESSION = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n"
)
ANY_HOST = ("-protocol_whitelist", "file,http,tcp,rtp,udp,crypto,data")


@dataclass(frozen=True, kw_only=True)
class Payload:
    """A file that asks ffmpeg for something that is not in it."""

    content: str | bytes
    touches: str = ""
    """Pattern of the system call by which a plain ffmpeg obeys. Empty: none here does so any more."""
    trusting: tuple[str, ...] = ()
    """Options without which the plain ffmpeg of today would not: what it was like not long ago."""
    codes: tuple[FailureCode, ...] = (FailureCode.NOT_A_VIDEO,)


def payloads(folder: Path, port: int) -> dict[str, Payload]:
    """By name of the file. Those of a neighbour lie in `folder`."""
    opened, connected = r'open(at)?\(.*"[^"]*{}", O_RDONLY', rf"sin_port=htons\({port}\)"
    http, damaged = f"http://127.0.0.1:{port}/segment.ts", (FailureCode.DAMAGED,)
    unsafe = ("-f", "concat", "-safe", "0")
    return {
        "concat.mov": Payload(
            content=CONCAT.format(name="neighbour.ts"), touches=opened.format("neighbour.ts")
        ),
        "concat.mp4": Payload(
            content=CONCAT.format(name="neighbour.ts"), touches=opened.format("neighbour.ts")
        ),
        "concat-passwd.mov": Payload(
            content=CONCAT.format(name="/etc/passwd"), touches=opened.format("/etc/passwd"), trusting=unsafe
        ),
        "concat-host.mov": Payload(
            content=CONCAT.format(name=http), touches=connected, trusting=(*unsafe, *ANY_HOST)
        ),
        "playlist.mov": Payload(
            content=PLAYLIST.format(name="neighbour.ts"), touches=opened.format("neighbour.ts")
        ),
        "playlist.m3u8": Payload(
            content=PLAYLIST.format(name="neighbour.ts"), touches=opened.format("neighbour.ts")
        ),
        "playlist-absolute.mov": Payload(
            content=PLAYLIST.format(name=folder / "neighbour.ts"), touches=opened.format("neighbour.ts")
        ),
        "playlist-passwd.mov": Payload(content=PLAYLIST.format(name="file:///etc/passwd")),
        "playlist-host.mov": Payload(
            content=PLAYLIST.format(name=http), touches=connected, trusting=("-f", "hls", *ANY_HOST)
        ),
        "manifest.mov": Payload(
            content=MANIFEST.format(name="neighbour.mp4"), touches=opened.format("neighbour.mp4")
        ),
        "session.mov": Payload(content=SESSION.format(port=port), touches="bind\\(", trusting=ANY_HOST),
        "subtitles.mov": Payload(
            content=SUBTITLES, touches=opened.format("subtitles.sub").replace("_RDONLY", "")
        ),
        "reference.mov": Payload(
            content=reference_movie(folder / "neighbour.mov"),
            touches=opened.format("neighbour.mov"),
            trusting=("-enable_drefs", "1"),
            codes=damaged,
        ),
        "list.mov": Payload(content=movie_list("neighbour.mov"), codes=(*damaged, FailureCode.NOT_A_VIDEO)),
        "list-host.mov": Payload(content=movie_list(http), codes=(*damaged, FailureCode.NOT_A_VIDEO)),
        "image.mov": Payload(content="<svg xmlns='http://www.w3.org/2000/svg'/>"),
        "text.mov": Payload(content="%s%n ../../x \u202e\n"),
        "sound.mov": Payload(content="RIFF....WAVE"),
    }


@pytest.fixture
def evil(tmp_path: Path, clip: Clip, listener: Listener) -> dict[str, Payload]:
    """Every payload as a file in `tmp_path`, with a neighbour's videos beside them."""
    for name in ("neighbour.ts", "neighbour.mov", "neighbour.mp4"):
        fragments = ("-movflags", "dash") if name.endswith(".mp4") else ()
        shutil.copyfile(clip(f"{fragments}{name}", *PICTURE, *H264, *fragments), tmp_path / name)
    made = payloads(tmp_path, listener.port)
    for name, payload in made.items():
        content = payload.content
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return made


def _strace() -> str:
    return shutil.which("strace") or without("strace")


def test_left_to_itself_ffmpeg_does_what_they_ask(tmp_path: Path, evil, listener: Listener):
    """So each of the tests below proves something.

    Not so for `playlist-passwd` (segments must have the extension of a medium), for lists of movies (its
    demuxer does not know them) and for pictures, sounds and other text: they are here because another
    version, or another demuxer, may yet learn to. `trusting` says which option it takes by now.
    """
    strace, obeyed = _strace(), {}
    calls = ("-f", "-qq", "-e", "trace=open,openat,connect,bind")
    for name, payload in evil.items():
        asked = [plain_ffmpeg(), "-nostdin", "-v", "quiet", *payload.trusting, "-i", name, "-f", "null", "-"]
        traced = [strace, *calls, "timeout", "5", *asked]
        trace = subprocess.run(traced, cwd=tmp_path, capture_output=True, check=False, text=True).stderr
        if payload.touches:
            obeyed[name] = bool(re.search(payload.touches, trace))
    assert [name for name, did in obeyed.items() if not did] == []
    assert len(obeyed) >= 12
    assert listener.heard > 0


@pytest.mark.parametrize("name", ["concat.mov", "playlist.mov", "manifest.mov", "reference.mov"])
def test_left_to_itself_ffmpeg_shows_the_neighbours_video(tmp_path: Path, evil, name: str):
    if not DEBIAN.exists() and name == "playlist.mov":
        without("/usr/bin/ffmpeg, old enough to believe a playlist of any name,")

    def pictures(*what: str | Path) -> list[bytes]:
        arguments = ("-nostdin", "-v", "quiet", *what, "-map", "0:v", "-f", "framemd5", "-")
        told = subprocess.run([plain_ffmpeg(), *arguments], cwd=tmp_path, capture_output=True, check=False)
        return [line.split(b",")[-1] for line in told.stdout.splitlines() if not line.startswith(b"#")]

    leaked = pictures(*evil[name].trusting, "-i", name)
    assert set(leaked) & set(pictures("-i", "neighbour.mp4"))


TRACED = (
    "import sys, threading; from pathlib import Path\n"
    "from transcoding.engine import sandbox\n"
    "from transcoding.engine.contracts import Limits\n"
    "from transcoding.engine.convert import convert\n"
    "from transcoding.engine.transfer import Aside\n"
    "own, work = [], Aside._run\n"
    "def noted(self): own.append(threading.get_native_id()); work(self)\n"
    "Aside._run = noted\n"
    "if sys.argv[1] == 'arguments': sandbox.layers = lambda: ()\n"
    "for number, name in enumerate(sys.argv[3:]):\n"
    "    folder = Path(sys.argv[2]) / str(number); folder.mkdir()\n"
    "    print(convert(Path(name), folder, Limits(), lambda fraction: None).code)\n"
    "print(*own, file=sys.stderr)\n"
)
"""Converts with the sandbox, or by our arguments alone; tells the threads that are Python's own."""
_SYSTEM = ("/proc/", "/sys/", "/etc/ld.so", "/lib", "/usr/lib", "/dev/")


@pytest.mark.parametrize("guard", ["arguments", "sandbox"])
def test_each_ends_in_its_code_and_touches_nothing_but_itself(
    tmp_path: Path, evil, jpegs: bytes, phone_clip: Path, listener: Listener, guard: str
):
    """By the arguments alone, as where a kernel has no sandbox; and with it, as every day."""
    codes = {name: payload.codes for name, payload in evil.items()}
    refused = (FailureCode.DAMAGED, FailureCode.TOO_MANY_PIXELS)
    for name, content in {
        "900.mov": many_streams(jpegs, 900),
        "10000.mov": many_streams(jpegs, 10_000),
        "30000.mov": sized(jpegs, 30_000, 30_000),
        "tiny.mov": repeated(jpegs, 1000),
    }.items():
        (tmp_path / name).write_bytes(content)
        codes[name] = refused if name != "tiny.mov" else (None,)
    for name in ("-i", "%03d.mov", "concat:a|b"):
        shutil.copyfile(phone_clip, tmp_path / name)
        codes[name] = (None,)
    work = tmp_path / "work"
    work.mkdir()
    calls = "trace=execve,execveat,openat,openat2,open,creat,socket,connect,bind,sendto"
    command = [_strace(), "-ff", "-qq", "-s", "4096", "-o", tmp_path / "trace", "-e", calls]
    script = [sys.executable, "-c", TRACED, guard, work, *(tmp_path / name for name in codes)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([*command, *script], check=True, capture_output=True, env=environment)
    ends = dict(zip(codes, done.stdout.decode().split(), strict=True))
    assert {name: code for name, code in ends.items() if code not in map(str, codes[name])} == {}
    assert listener.heard == 0
    own = {f"trace.{thread}" for thread in done.stderr.decode().splitlines()[-1].split()}
    touched = [_touched(path.read_text()) for path in tmp_path.glob("trace.*") if path.name not in own]
    assert len([names for names in touched if names]) >= 20, "Not every run was traced."
    assert {name for names in touched for name in names} <= OURS


OURS = {"source", "output.mp4", "posters.luma", "storyboard.raw", "poster0.luma"} | {
    f"poster{number}.jpg" for number in range(5)
}
"""As they are called in the folder of a job, from where ffmpeg runs."""


def _touched(trace: str) -> set[str]:
    """What one thread of ffmpeg or ffprobe opened, or asked the network for, beyond its own libraries."""
    before, ran, after = trace.partition('"-protocol_whitelist"')
    if not ran and "execve" in trace:
        return set()  # the launcher, and we ourselves
    lines = (after if ran else before).splitlines()[1 if ran else 0 :]
    calls = [line for line in lines if "O_PATH" not in line]  # the launcher, trying the sandbox out
    opened = {line.split('"')[1] for line in calls if line.startswith(("open", "creat", "exec"))}
    network = {line for line in calls if line.startswith(("socket", "connect", "bind", "sendto"))}
    return network | {name for name in opened if not name.startswith(_SYSTEM)}


def sized(movie: bytes, width: int, height: int) -> bytes:
    """The movie of JPEGs, claiming another size in its index and in each picture."""

    def claim(content: bytes) -> bytes:
        return content[:40] + struct.pack(">HH", width, height) + content[44:]

    jpegs = re.sub(
        rb"(\xff\xc0\x00\x11\x08).{4}",
        lambda found: found[1] + struct.pack(">HH", height, width),
        movie,
        flags=re.DOTALL,
    )
    return changed(jpegs, (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"), claim)


@pytest.fixture(scope="session")
def jpegs(clip: Clip) -> bytes:
    """A MOV of JPEGs of 64 x 64 pixels."""
    picture = ("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=0.2")
    return clip("jpegs.mov", *picture, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p").read_bytes()


def test_a_small_file_of_enormous_pictures_is_refused_before_it_takes_memory(clip: Clip, converted: Convert):
    black = ("-f", "lavfi", "-i", "color=black:size=16000x15000:rate=1:duration=1")
    evil = clip("enormous.mov", *black, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p")
    assert evil.stat().st_size < 5 * 2**20
    assert _memory_of_plain_ffmpeg(evil) > 300 * 2**20
    outcome = converted(evil)
    assert outcome.code == FailureCode.TOO_MANY_PIXELS
    assert outcome.peak_memory < 100 * 2**20


@pytest.mark.parametrize("side", [16_000, 30_000])
def test_a_false_claim_of_enormous_pictures_is_refused_too(tmp_path, jpegs, converted: Convert, side: int):
    """16,000 is about the most that ffmpeg itself takes (see above); 30,000 it refuses in any case."""
    evil = tmp_path / "evil.mov"
    evil.write_bytes(sized(jpegs, side, side))
    outcome = converted(evil)
    assert outcome.code in (FailureCode.TOO_MANY_PIXELS, FailureCode.DAMAGED)
    assert outcome.peak_memory < 100 * 2**20


def _memory_of_plain_ffmpeg(path: Path) -> int:
    """Largest resident set, in bytes."""
    command = [find_ffmpeg().path, "-nostdin", "-v", "quiet", "-i", path, "-f", "null", "-"]
    child = subprocess.Popen(command)
    _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0
    return usage.ru_maxrss * 1024


def repeated(movie: bytes, times: int) -> bytes:
    """The movie's first frame so often, out of the same few bytes of the file, 1/90000 s each."""
    [(first, length)] = [
        (content.index(b"\xff\xd8"), content.index(b"\xff\xd9") + 2)
        for kind, content in boxes(movie)
        if kind == b"mdat"
    ]
    offset = movie.index(b"\xff\xd8")
    tables = {
        b"stts": struct.pack(">IIII", 0, 1, times, 1),
        b"stsz": struct.pack(">III", 0, length - first, times),
        b"stsc": struct.pack(">IIIII", 0, 1, 1, 1, 1),
        b"stco": struct.pack(">II", 0, times) + struct.pack(">I", offset) * times,
    }
    duration = struct.pack(">IIIII", 0, 0, 0, 90_000, times)
    for kind, content in tables.items():
        where = (b"moov", b"trak", b"mdia", b"minf", b"stbl", kind)
        movie = changed(movie, where, lambda _, content=content: content)
    movie = changed(movie, (b"moov", b"trak", b"mdia", b"mdhd"), lambda old: duration + old[20:])
    return changed(movie, (b"moov", b"trak"), _without_edits)


def _without_edits(trak: bytes) -> bytes:
    return b"".join(box(kind, content) for kind, content in boxes(trak) if kind != b"edts")


@pytest.mark.slow
def test_a_million_tiny_frames_end_within_the_limits(tmp_path: Path, jpegs: bytes, converted: Convert):
    evil = tmp_path / "evil.mov"
    evil.write_bytes(repeated(jpegs, 1_000_000))
    with pytest.raises(subprocess.TimeoutExpired):
        plain_ffmpeg_reads(evil, timeout=2)
    started = time.monotonic()
    outcome = converted(evil, seconds=5.0)
    assert outcome.code in (None, FailureCode.TIMED_OUT)
    assert time.monotonic() - started < 30


def test_a_file_that_never_ends_is_no_video(tmp_path: Path, converted: Convert):
    endless = tmp_path / "endless.mov"
    os.mkfifo(endless)
    with pytest.raises(subprocess.TimeoutExpired):
        plain_ffmpeg_reads(endless, timeout=0.5)
    assert converted(endless).code == FailureCode.NOT_A_VIDEO
    assert converted(Path("/dev/zero")).code == FailureCode.NOT_A_VIDEO


def test_a_file_that_grows_while_it_is_read_ends_within_the_limits(tmp_path, clip: Clip, converted: Convert):
    growing = tmp_path / "growing.ts"
    packets = clip("growing.ts", *PICTURE, *H264).read_bytes() * 20
    growing.write_bytes(packets)
    stop = threading.Event()

    def grow() -> None:
        while not stop.wait(0.01):
            with growing.open("ab") as file:
                file.write(packets)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            plain_ffmpeg_reads(growing, timeout=1.5)
        started = time.monotonic()
        outcome = converted(growing, seconds=2.0)
        assert outcome.code in (FailureCode.TIMED_OUT, FailureCode.TOO_LONG, FailureCode.DAMAGED)
        assert time.monotonic() - started < 60
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("size", [2**31, 2**40, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("kind", [b"mdat", b"moov", b"free"])
def test_a_box_that_claims_more_than_there_is_ends_in_a_code(
    tmp_path: Path, phone_clip: Path, converted: Convert, kind: bytes, size: int
):
    evil = tmp_path / "evil.mov"
    evil.write_bytes(struct.pack(">I4sQ", 1, kind, size) + phone_clip.read_bytes())
    assert converted(evil).code in (FailureCode.DAMAGED, FailureCode.NOT_A_VIDEO)


def many_streams(movie: bytes, count: int) -> bytes:
    """The movie with its track so many times."""

    def repeat(moov: bytes) -> bytes:
        return b"".join(
            box(kind, content) * (count if kind == b"trak" else 1) for kind, content in boxes(moov)
        )

    return changed(movie, (b"moov",), repeat)


@pytest.mark.parametrize("count", [900, 10_000])
def test_more_streams_than_any_camera_makes_are_refused(
    tmp_path: Path, jpegs: bytes, converted: Convert, count: int
):
    evil = tmp_path / "evil.mov"
    evil.write_bytes(many_streams(jpegs, count))
    if count == 900:  # above 1000 ffmpeg itself gives up
        assert plain_ffmpeg_reads(evil, output=("-map", "0:899"))
    started = time.monotonic()
    assert converted(evil).code == FailureCode.DAMAGED
    assert time.monotonic() - started < 30


ODD_NAMES = (
    *("-i", "-y.mov", "new\nline.mov", "%s%d%n.mov", "%03d.mov", "$(id).mov", "https:x.mov", "concat:a|b"),
    *("\N{BONE}.mov", "..mov", "file:x", "a'b\"c.mov", "x" * 255),
)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_is_only_a_name(tmp_path: Path, phone_clip: Path, converted: Convert, name: str):
    shutil.copyfile(phone_clip, tmp_path / name)
    if ":" in name:
        assert not plain_ffmpeg_reads(tmp_path / name)
    outcome = converted(tmp_path / name)
    assert outcome.code is None
    assert outcome.run
    assert name not in " ".join(outcome.run.arguments).replace("-i file:source", "") + outcome.run.log


def test_a_key_that_climbs_finds_nothing_and_leaves_nothing(store: FolderStore, workdir: Path, progress):
    key = f"e5fa44f2b31/../../{'7448d879' * 5}.mov"
    result = transcode(TranscodeRequest(job="job-1", source_key=key), store, workdir, progress)
    assert result.code == FailureCode.SOURCE_MISSING
    assert list(store.folder.parent.rglob("*.json")) == []


FLIPS = 12


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("fuzz.mov", (*PICTURE, *SOUND, *H264, "-c:a", "aac")),
        ("fuzz.mkv", (*PICTURE, *SOUND, "-c:v", "mpeg4", "-c:a", "pcm_s16le")),
        ("fuzz.ts", (*PICTURE, *H264)),
        ("fuzz.avi", (*PICTURE, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p")),
    ],
)
@pytest.mark.slow
def test_damage_anywhere_ends_in_a_code_or_a_video(tmp_path, clip: Clip, converted: Convert, name, arguments):
    whole = clip(name, *arguments, "-t", "0.4").read_bytes()
    chance = random.Random(name)
    for _ in range(FLIPS):
        evil = bytearray(whole)
        for _ in range(chance.choice((1, 8, 64))):
            evil[chance.randrange(len(evil))] ^= 1 << chance.randrange(8)
        _must_end_well(tmp_path / name, bytes(evil), converted)
        _must_end_well(tmp_path / name, whole[: chance.randrange(1, len(whole))], converted)
    assert eventually(lambda: processes_in(tmp_path) == [])


def _must_end_well(path: Path, content: bytes, converted: Convert) -> None:
    path.write_bytes(content)
    outcome = converted(path, seconds=20.0)
    assert (outcome.code is None) == (outcome.mp4 is not None)
