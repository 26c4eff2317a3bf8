"""The stream function under a real Runtime API server: what the wire carries, byte for byte."""

import os
import subprocess
import sys
import threading
import time
from array import array
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.aws.media_server import HOST, MediaServer
from tests.aws.runtime_api import RuntimeApiServer
from tests.aws.support import KEY
from tests.transcoding.engine.support import H264, eventually, ffmpeg, processes_in
from transcoding.aws import runtime, stream_handler
from transcoding.aws.fetch import Fetcher, Guard, is_public
from transcoding.aws.runtime import Response, RuntimeApi


def asked(method="GET", **query):
    """As a function URL sends it."""
    return {
        "version": "2.0",
        "rawPath": "/",
        "rawQueryString": urlencode(query),
        "requestContext": {"http": {"method": method, "path": "/"}},
    }


def serve(event, handler=stream_handler.handler, **how):
    """What the runtime sent for one event."""
    with RuntimeApiServer(**how) as api:
        api.give(event)
        thread = threading.Thread(target=lambda: RuntimeApi(api.address).serve_one(handler), daemon=True)
        thread.start()
        answer = api.answer()
        thread.join(20)
        assert not thread.is_alive()
        return answer


@pytest.fixture
def work(function_environment, tmp_path):
    return tmp_path / "tmp"


@pytest.fixture
def media(function_environment, monkeypatch):
    """A server elsewhere, which the function is allowed to reach, though it is on loopback."""
    with MediaServer() as server:
        names = {HOST: ["127.0.0.1"], "inside.example.test": ["127.0.0.1"], "evil.example.test": ["10.0.0.1"]}
        guard = Guard(
            hosts=(f"{HOST}:{server.port}", "evil.example.test"),
            resolve=lambda host, port: names[host],
            allows=lambda address: address == "127.0.0.1" or is_public(address),
        )
        fetcher = Fetcher(guard, server.client_context)
        monkeypatch.setattr(stream_handler, "_fetcher", lambda: fetcher)
        yield server
        fetcher.close()


@pytest.fixture(scope="session")
def long_film(tmp_path_factory):
    """Twenty seconds of 720p, about 20 MB, the index last."""
    path = tmp_path_factory.mktemp("films") / "long.mov"
    picture = ("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=20")
    ffmpeg(*picture, *H264, "-b:v", "8M", "-minrate", "8M", "-bufsize", "1M", "-g", "25", path)
    return path.read_bytes()


def is_mp4(content):
    return content[4:8] == b"ftyp" and b"moof" in content


def test_an_object_of_the_bucket_is_streamed(store, work, short_clip):
    store.put(KEY, short_clip.read_bytes(), "video/quicktime")

    answer = serve(asked(key=KEY))

    assert answer.path.endswith("/invocation/request-1/response")
    assert answer.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    assert answer.headers["lambda-runtime-function-response-mode"] == "streaming"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.headers["lambda-runtime-invocation-id"] == "invocation-1"
    assert answer.headers["trailer"] == (
        "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"
    )
    assert answer.prelude == {
        "statusCode": 200,
        "headers": {
            "Content-Type": "video/mp4",
            "Content-Disposition": 'inline; filename="video.mp4"',
            "Cache-Control": "private, no-store",
            "Accept-Ranges": "none",
            "X-Content-Type-Options": "nosniff",
        },
        "cookies": [],
    }
    assert is_mp4(answer.body)
    assert (answer.ended, answer.trailers) == (True, {})


def test_our_own_mp4_can_be_streamed_too(store, work, short_clip):
    key = KEY.replace(".mov", ".web.mp4")
    store.put(key, short_clip.read_bytes(), "video/mp4")
    assert is_mp4(serve(asked(key=key)).body)


def test_a_file_elsewhere_is_streamed(media, short_clip):
    answer = serve(asked(url=media.put("/IMG_0001.MOV", short_clip.read_bytes())))
    assert answer.prelude["statusCode"] == 200
    assert is_mp4(answer.body)


def test_a_download_is_asked_for(media, short_clip):
    answer = serve(asked(url=media.put("/a.mov", short_clip.read_bytes()), download=1))
    assert answer.prelude["headers"]["Content-Disposition"] == 'attachment; filename="video.mp4"'


def test_success_may_be_kept_where_the_operator_says_so_and_failure_never(
    media, short_clip, function_environment, monkeypatch
):
    monkeypatch.setenv("STREAM_CACHE_SECONDS", "3600")
    kept = serve(asked(url=media.put("/a.mov", short_clip.read_bytes())))
    failed = serve(asked(url=f"{media.base}/gone.mov"))
    assert kept.prelude["headers"]["Cache-Control"] == "public, max-age=3600"
    assert failed.prelude["headers"]["Cache-Control"] == "no-store"


def test_the_first_byte_comes_long_before_the_end_from_a_slow_source(media, long_film):
    answer = serve(asked(url=media.put("/slow.mov", long_film, pause=0.04)))

    assert is_mp4(answer.body)
    assert answer.last_byte_at() > 4
    assert answer.first_byte_at() < answer.last_byte_at() / 2


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        (asked(), 400, "url_or_key_needed"),
        (asked(url="https://a/", key=KEY), 400, "url_or_key_needed"),
        ({**asked(), "rawQueryString": "key=a&key=b"}, 400, "url_or_key_needed"),
        (asked(key="../etc/passwd"), 400, "no_such_key"),
        (asked(key=KEY), 404, "source_missing"),
        (asked(url="http://media.example.test/a.mov"), 400, "https_only"),
        (asked(url="https://unknown.example.test/a.mov"), 403, "host_not_allowed"),
        (asked(url="https://evil.example.test/a.mov"), 403, "address_not_allowed"),
        (asked("POST", key=KEY), 405, "method_not_allowed"),
    ],
)
def test_what_is_wrong_with_the_question_is_a_real_answer(store, media, event, status, code):
    answer = serve(event)
    assert answer.prelude["statusCode"] == status
    assert answer.prelude["headers"]["Cache-Control"] == "no-store"
    assert answer.body == b'{"code": "%s"}' % code.encode()


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ({"content": b""}, 422, "empty"),
        ({"content": b"Dear doctor"}, 422, "not_a_video"),
        ({"content": b"x", "status": 403}, 403, "source_forbidden"),
        ({"content": b"x", "status": 500}, 502, "source_failed"),
        ({"status": 302, "location": "https://127.0.0.1/"}, 403, "host_not_allowed"),
    ],
)
def test_what_is_wrong_with_the_source_is_a_real_answer(media, how, status, code):
    media.put("/bad.mov", **how)
    answer = serve(asked(url=f"{media.base}/bad.mov"))
    assert (answer.prelude["statusCode"], answer.body) == (status, b'{"code": "%s"}' % code.encode())
    assert answer.trailers == {}


def test_an_index_at_the_end_needs_a_server_with_ranges(media, short_clip):
    answer = serve(asked(url=media.put("/a.mov", short_clip.read_bytes(), ranges=False)))
    assert (answer.prelude["statusCode"], answer.body) == (422, b'{"code": "index_at_the_end"}')


def test_head_says_what_get_would_and_converts_nothing(media, short_clip, monkeypatch):
    monkeypatch.setattr(stream_handler, "stream", lambda *args: pytest.fail("It was converted."))
    answer = serve(asked("HEAD", url=media.put("/a.mov", short_clip.read_bytes())))
    assert (answer.prelude["statusCode"], answer.body) == (200, b"")
    assert serve(asked("HEAD", url=f"{media.base}/gone")).prelude["statusCode"] == 404


def test_options_says_what_may_be_asked(function_environment):
    answer = serve(asked("OPTIONS"))
    assert answer.prelude["statusCode"] == 204
    assert answer.prelude["headers"]["Allow"] == "GET, HEAD, OPTIONS"


# What goes wrong later


def test_a_source_that_breaks_in_the_middle_is_told_by_trailers(media, long_film):
    how = {"pause": 0.01, "break_at": len(long_film) // 2, "dies": True}
    answer = serve(asked(url=media.put("/a.mov", long_film, **how)))

    assert answer.prelude["statusCode"] == 200
    assert is_mp4(answer.body)
    assert answer.ended
    assert answer.trailers["lambda-runtime-function-error-type"] == "Stream.SourceBroke"
    assert answer.error["errorType"] == "SourceBroke"
    assert HOST not in str(answer.error)


def test_the_budget_ends_a_stream_cleanly_and_says_so(media, long_film, monkeypatch):
    monkeypatch.setenv("MAX_STREAM_BYTES", str(len(long_film) // 4))
    answer = serve(asked(url=media.put("/a.mov", long_film)))

    assert len(answer.body) <= len(long_film) // 4
    assert answer.trailers["lambda-runtime-function-error-type"] == "Stream.BudgetReached"
    assert answer.ended


def test_the_functions_time_ends_a_stream_before_lambda_does(media, long_film):
    answer = serve(asked(url=media.put("/a.mov", long_film, pause=0.02)), seconds=18)

    assert answer.trailers["lambda-runtime-function-error-type"] == "Stream.BudgetReached"
    assert answer.last_byte_at() < 10


def test_a_client_that_leaves_ends_ffmpeg_and_the_fetching(media, long_film, work):
    url = media.put("/a.mov", long_film, pause=0.01)

    serve(asked(url=url), leave_after=200_000)

    assert eventually(lambda: processes_in(work) == [])
    assert list(work.iterdir()) == []
    seen = len(media.requests)
    time.sleep(0.5)
    assert len(media.requests) == seen


# Playlists


@pytest.fixture
def segments(tmp_path, media):
    """An HLS film in three segments on the server; gives the playlist's text."""
    picture = (
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x240:rate=25:duration=6",
        "-f",
        "lavfi",
        "-i",
        "sine=duration=6",
    )
    hls = ("-f", "hls", "-hls_time", "2", "-hls_list_size", "0", "-hls_segment_filename", tmp_path / "s%d.ts")
    ffmpeg(*picture, *H264, "-g", "50", "-c:a", "aac", *hls, tmp_path / "film.m3u8")
    for path in tmp_path.glob("s*.ts"):
        media.put(f"/{path.name}", path.read_bytes())
    return (tmp_path / "film.m3u8").read_text()


def frames(content, tmp_path):
    (tmp_path / "got.mp4").write_bytes(content)
    return ffmpeg("-i", tmp_path / "got.mp4", "-map", "0:v", "-f", "framemd5", "-").count(b"\n0,")


def test_a_playlist_is_streamed_as_one_film(media, segments, tmp_path):
    answer = serve(asked(url=media.put("/film.m3u8", segments.encode())))
    assert answer.trailers == {}
    assert frames(answer.body, tmp_path) == 150


def test_of_several_variants_the_best_that_fits_is_taken(media, segments):
    media.put("/film.m3u8", segments.encode())
    variants = "".join(
        f"#EXT-X-STREAM-INF:BANDWIDTH={lines}000,RESOLUTION={lines * 16 // 9}x{lines}\n{name}\n"
        for lines, name in ((2160, "huge.m3u8"), (720, "film.m3u8"), (240, "tiny.m3u8"))
    )
    answer = serve(asked(url=media.put("/master.m3u8", f"#EXTM3U\n{variants}".encode())))
    assert is_mp4(answer.body)
    assert "/film.m3u8" in {path for path, _ in media.requests}


@pytest.fixture(params=["mpegts", "fmp4"])
def apart(request, tmp_path, media):
    """An HLS film whose sound is a rendition of its own and begins a second late; the master playlist."""
    folder = tmp_path / "apart"
    folder.mkdir()
    picture = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=6")
    sound = ("-itsoffset", "1", "-f", "lavfi", "-i", "sine=frequency=440:duration=5")
    hls = ("-f", "hls", "-hls_time", "2", "-hls_list_size", "0", "-hls_segment_type", request.param)
    names = ("-master_pl_name", "master.m3u8", "-hls_segment_filename", folder / "%v-%d.seg")
    renditions = ("-var_stream_map", "a:0,agroup:sound,default:yes,name:sound v:0,agroup:sound,name:picture")
    ffmpeg(
        *picture, *sound, "-map", "0:v", "-map", "1:a", *H264, "-g", "50", "-c:a", "aac",
        *hls, *names, *renditions, "-hls_fmp4_init_filename", "%v-init.mp4", folder / "%v.m3u8",
    )  # fmt: skip
    for path in folder.iterdir():
        media.put(f"/{path.name}", path.read_bytes())
    return (folder / "master.m3u8").read_text()


def heard_from(content, tmp_path):
    """Seconds from the beginning of the film until there is something to hear."""
    (tmp_path / "got.mp4").write_bytes(content)
    from_zero = ("-map", "0:a", "-af", "aresample=async=1:first_pts=0")
    raw = ("-ac", "1", "-ar", "8000", "-f", "s16le", "-")
    samples = array("h", ffmpeg("-i", tmp_path / "got.mp4", *from_zero, *raw))
    return next(at for at, sample in enumerate(samples) if abs(sample) > 500) / 8000


def test_sound_that_is_a_rendition_of_its_own_comes_with_the_film_and_in_time(media, apart, tmp_path):
    answer = serve(asked(url=media.put("/master.m3u8", apart.encode())))

    assert answer.trailers == {}
    assert frames(answer.body, tmp_path) == 150
    assert heard_from(answer.body, tmp_path) == pytest.approx(1.0, abs=0.1)
    assert {"/sound-0.seg", "/sound-2.seg", "/picture-2.seg"} <= {path for path, _ in media.requests}


@pytest.mark.parametrize(
    ("sound", "status", "code"),
    [
        ("https://127.0.0.1/sound.m3u8", 403, "host_not_allowed"),
        ("https://evil.example.test/sound.m3u8", 403, "address_not_allowed"),
        ("file:///etc/passwd", 400, "https_only"),
        ("to-loopback.m3u8", 403, "host_not_allowed"),
        ("to-elsewhere.m3u8", 403, "address_not_allowed"),
        ("goes-on.m3u8", 422, "playlist_not_finished"),
        ("text.m3u8", 422, "not_a_video"),
        ("missing.m3u8", 404, "source_missing"),
    ],
)
def test_the_sound_s_playlist_leads_nowhere_else_either(media, segments, sound, status, code):
    media.put("/film.m3u8", segments.encode())
    media.put("/to-loopback.m3u8", playlist("/s0.ts", "https://127.0.0.1/secret.ts"))
    media.put("/to-elsewhere.m3u8", playlist("https://evil.example.test/latest/meta-data"))
    media.put("/goes-on.m3u8", playlist("/s0.ts", end=""))
    media.put("/text.m3u8", playlist("/text.ts"))
    media.put("/text.ts", b"root:x:0:0")
    master = (
        f'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="s",NAME="s",DEFAULT=YES,URI="{sound}"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1000,AUDIO="s"\nfilm.m3u8\n'
    )

    answer = serve(asked(url=media.put("/master.m3u8", master.encode())))

    assert (answer.prelude["statusCode"], answer.body) == (status, b'{"code": "%s"}' % code.encode())


def test_sound_that_breaks_off_is_told_as_a_film_that_does(media, apart):
    media.put("/sound-1.seg", status=500)

    answer = serve(asked(url=media.put("/master.m3u8", apart.encode())))

    assert answer.prelude["statusCode"] != 200 or answer.trailers


def playlist(*segments, end="#EXT-X-ENDLIST\n", before=""):
    lines = "".join(f"#EXTINF:2.0,\n{segment}\n" for segment in segments)
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{before}{lines}{end}".encode()


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (playlist("https://127.0.0.1/secret.ts"), 403, "host_not_allowed"),
        (playlist("https://evil.example.test/latest/meta-data"), 403, "address_not_allowed"),
        (playlist("/s0.ts", "https://localhost/x.ts"), 403, "host_not_allowed"),
        (playlist("http://media.example.test/s0.ts"), 400, "https_only"),
        (playlist("file:///etc/passwd"), 400, "https_only"),
        (playlist("concat:/etc/passwd|/etc/hosts"), 400, "https_only"),
        (playlist("/s0.ts", end=""), 422, "playlist_not_finished"),
        (playlist(), 422, "playlist_empty"),
        (playlist("/s0.ts", before='#EXT-X-KEY:METHOD=AES-128,URI="key"\n'), 422, "encrypted"),
        (playlist("/s0.ts", before='#EXT-X-MAP:URI="https://127.0.0.1/init.mp4"\n'), 403, "host_not_allowed"),
        (b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttps://127.0.0.1/a.m3u8\n", 403, "host_not_allowed"),
        (b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nbad.m3u8\n", 422, "playlist_in_playlist"),
        (playlist(*["/s0.ts"] * 5001), 422, "playlist_too_long"),
        (b"#EXTM3U\n" + b"#" * 1_100_000, 413, "playlist_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_playlist_leads_nowhere_else(media, content, status, code):
    answer = serve(asked(url=media.put("/bad.m3u8", content)))
    assert (answer.prelude["statusCode"], answer.body) == (status, b'{"code": "%s"}' % code.encode())


def test_byte_ranges_of_one_file_are_segments_too(media, segments, tmp_path):
    whole = b"".join(media.pages[f"/s{number}.ts"].content for number in range(3))
    sizes = [len(media.pages[f"/s{number}.ts"].content) for number in range(3)]
    media.put("/all.ts", whole)
    lines = "".join(
        f"#EXTINF:2.0,\n#EXT-X-BYTERANGE:{size}{'@0' if not number else ''}\nall.ts\n"
        for number, size in enumerate(sizes)
    )
    text = f"#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:2\n{lines}#EXT-X-ENDLIST\n"

    assert frames(serve(asked(url=media.put("/one.m3u8", text.encode()))).body, tmp_path) == 150


# The runtime itself


def test_a_handler_that_fails_is_told_as_an_error_before_the_first_byte():
    def handler(event, context):
        raise ZeroDivisionError("with a secret in it")

    answer = serve({}, handler)
    assert answer.path.endswith("/invocation/request-1/error")
    assert answer.headers["lambda-runtime-function-error-type"] == "Runtime.ZeroDivisionError"
    assert b"secret" not in answer.content


def test_a_handler_sees_its_time_and_its_name():
    def handler(event, context):
        assert context.aws_request_id == "request-1"
        assert 0 < context.get_remaining_time_in_millis() <= 300_000
        return Response(status=204)

    assert serve({}, handler).prelude["statusCode"] == 204


def test_a_handler_that_cannot_be_loaded_ends_the_start(monkeypatch):
    with RuntimeApiServer() as api:
        monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", api.address)
        with pytest.raises(SystemExit):
            runtime.main(["no.such.handler"])
        answer = api.answer()
    assert answer.path.endswith("/init/error")
    assert answer.headers["lambda-runtime-function-error-type"] == "Runtime.ModuleNotFoundError"


def test_a_slow_reader_holds_the_writer_back():
    made = []

    def pieces():
        for number in range(200):
            made.append(number)
            yield b"x" * 100_000

    def handler(event, context):
        return Response(body=pieces())

    with RuntimeApiServer(read_slowly=0.02) as api:
        api.give({})
        threading.Thread(target=lambda: RuntimeApi(api.address).serve_one(handler), daemon=True).start()
        assert eventually(lambda: made)
        time.sleep(0.6)
        assert len(made) < 150
        assert len(api.answer().body) == 20_000_000


@pytest.mark.slow
def test_fifty_megabytes_go_through_in_constant_memory(store, work, tmp_path):
    """In a process of its own, as Lambda runs it: 50 MB more of film cost no more memory."""
    small, large = (_peak_memory(store, tmp_path, megabytes) for megabytes in (5, 55))
    assert large - small < 25_000_000
    assert large < 200_000_000


def _peak_memory(store, folder, megabytes):
    """Bytes that the runtime's process had at most, while it streamed a film of so many MB."""
    path = folder / f"{megabytes}.mov"
    picture = ("-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate=25:duration={megabytes * 8 // 10}")
    rate = ("-b:v", "10M", "-minrate", "10M", "-maxrate", "10M", "-bufsize", "1M", "-nal-hrd", "cbr")
    ffmpeg(*picture, *H264, *rate, "-g", "25", path)
    store.put(KEY, path.read_bytes(), "video/quicktime")
    with RuntimeApiServer() as api:
        process = subprocess.Popen(
            [sys.executable, "-m", "transcoding.aws.runtime", "transcoding.aws.stream_handler.handler"],
            env={**os.environ, "AWS_LAMBDA_RUNTIME_API": api.address},
            stdout=subprocess.DEVNULL,
        )
        try:
            api.give(asked(key=KEY))
            answer = api.answer(120)
            status = Path(f"/proc/{process.pid}/status").read_text()
        finally:
            process.kill()
            process.wait()
    assert answer.trailers == {}
    assert len(answer.body) > megabytes * 0.8e6
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
