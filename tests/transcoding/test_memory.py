"""A long video must not fill the worker's memory: what is moved is moved through a small window."""

import json
import re
import shutil
import struct
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from django.conf import settings

from transcoding.engine.store import S3Store

GIB = 2**30
KEY = f"e5fa44f2b31/{'7448d879' * 5}.mov"
WORKER = """
import json, sys
from pathlib import Path
from transcoding.engine.contracts import TranscodeRequest
from transcoding.engine.store import S3Store, StoreConfig
from transcoding.engine.transcode import transcode

store = S3Store(StoreConfig(**json.loads(sys.stdin.read())))
request = TranscodeRequest(job="job-1", source_key=sys.argv[1])
result = transcode(request, store, Path(sys.argv[2]), lambda fraction: None)
print(result.outcome, result.source_size)
print(Path("/proc/self/status").read_text())
"""


def padded(clip: Path, size: int, path: Path) -> Path:
    """The clip with free space after it up to this size, which players skip and disks do not store."""
    shutil.copyfile(clip, path)
    begin = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(struct.pack(">I4sQ", 1, b"free", size - begin))
        file.truncate(size)
    return path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_a_source_of_two_gigabytes_needs_little_memory(store: S3Store, short_clip: Path, tmp_path: Path):
    source = padded(short_clip, 2 * GIB, tmp_path / "long.mov")
    store.upload(source, KEY, "video/quicktime", {})
    source.unlink()
    done = subprocess.run(
        [sys.executable, "-c", WORKER, KEY, tmp_path],
        input=json.dumps(asdict(store.config)).encode(),
        cwd=settings.BASE_DIR,
        capture_output=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.split()[:2] == [b"succeeded", str(2 * GIB).encode()]
    [peak] = re.findall(rb"VmHWM:\s+(\d+) kB", done.stdout)
    assert int(peak) * 1024 < 150 * 2**20
    assert list(tmp_path.iterdir()) == []
