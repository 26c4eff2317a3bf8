"""How soon the first picture of a long HEVC film can be shown: the stream, and ffmpeg on the address.

From the object in a local S3 server to the first whole fragment. The peer opens the presigned address by
itself, as a plain implementation would, and must be allowed a network for it.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.support import CACHE, Competitor, arguments, filmed, megabytes, race, spread, table
from portal import seaweed
from transcoding.engine.binaries import find_ffmpeg
from transcoding.engine.sources import S3Source
from transcoding.engine.store import S3Store, StoreConfig
from transcoding.engine.stream import StreamLimits, stream

HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-b:v", "13M", "-tag:v", "hvc1")
HEVC_OPTIONS = ("-x265-params", "log-level=0:keyint=30")
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench-of-the-stream"}


def first_fragment(store: S3Store, key: str) -> Callable[[Path], None]:
    def run(output: Path) -> None:
        pieces = stream(S3Source(store, key), output.parent, StreamLimits())
        got = b""
        while b"moof" not in got:
            got += next(pieces)
        output.write_bytes(got)
        pieces.close()

    return run


def by_itself(store: S3Store, key: str) -> Callable[[Path], None]:
    def run(output: Path) -> None:
        address = store.client.generate_presigned_url(
            "get_object", Params={"Bucket": store.bucket, "Key": key}
        )
        encode = ("-vf", "scale=1280:-2", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "23")
        fragments = (
            "-movflags",
            "frag_keyframe+empty_moov",
            "-frag_duration",
            "500000",
            "-f",
            "mp4",
            "pipe:1",
        )
        command = [find_ffmpeg().path, "-v", "error", "-i", address, *encode, "-c:a", "aac", *fragments]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            got = b""
            while b"moof" not in got:
                got += os.read(process.stdout.fileno(), 65536)
            process.kill()
        output.write_bytes(got)

    return run


def main() -> None:
    options = arguments(__doc__ or "").parse_args()
    films = {
        seconds: filmed(f"live-hevc-{seconds}s.mov", seconds, *HEVC, *HEVC_OPTIONS) for seconds in (12, 120)
    }
    port = seaweed.free_port()
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        server = subprocess.Popen(
            seaweed.arguments(Path(folder), port=port, bucket="bench"),
            env={**os.environ, **KEYS},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            race_for(films, port, Path(folder), options.runs)
        finally:
            server.kill()
            server.wait()


def race_for(films: dict[int, Path], port: int, folder: Path, runs: int) -> None:
    config = StoreConfig(
        bucket="bench",
        region="us-east-1",
        endpoint=f"http://127.0.0.1:{port}",
        access_key=KEYS["AWS_ACCESS_KEY_ID"],
        secret_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        addressing="path",
    )
    store = S3Store(config)
    seaweed.wait_until_ready(store)
    competitors = []
    for seconds, film in films.items():
        key = f"0123456789abcdef/{seconds}.mov"
        store.upload(film, key, "video/quicktime", {})
        name = f"{seconds} s, {megabytes(film)} MB"
        competitors += [
            Competitor(name=f"stream, {name}", run=first_fragment(store, key)),
            Competitor(name=f"ffmpeg by itself, {name}", run=by_itself(store, key)),
        ]
    timings = race(competitors, runs, folder)
    table([spread(one) for one in timings])
    short, _, long, peer = (one.median for one in timings)
    print(f"\n{long:.2f} s to the first fragment of the long film (goal: under 2)")
    print(f"{long / short:.2f} times the short film's, {long / peer:.2f} times ffmpeg's by itself")


if __name__ == "__main__":
    main()
