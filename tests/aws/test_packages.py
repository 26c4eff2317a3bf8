"""What is deployed: within Lambda's limits, the same bytes each time, no Django, and it starts."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile

import pytest
from django.conf import settings

REPOSITORY = settings.BASE_DIR
HANDLERS = ("transcoding.aws.transcode_handler", "transcoding.aws.stream_handler", "transcoding.aws.runtime")
MIB = 1024**2

sys.path.insert(0, str(REPOSITORY / "deploy" / "aws"))
import build  # noqa: E402 - a script, not a package

sys.path.pop(0)


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """(functions.zip, ffmpeg-layer.zip)"""
    return build.build(tmp_path_factory.mktemp("packages"))


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_function_imports_nothing_of_django_and_nothing_of_the_portal(handler):
    code = f"import sys, {handler}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert not {"django", "portal", "encounters"} & set(done.stdout.split())


@pytest.mark.slow
def test_the_packages_are_within_lambdas_limits(packages):
    functions, layer = packages
    assert functions.stat().st_size < build.MOST_ZIPPED / 5
    assert build.unzipped_size(functions) + build.unzipped_size(layer) < build.MOST_UNZIPPED


@pytest.mark.slow
def test_the_functions_hold_what_they_need_and_no_more(packages):
    with zipfile.ZipFile(packages[0]) as archive:
        names = set(archive.namelist())
        assert archive.getinfo("stream-runtime").external_attr >> 16 & 0o111
    tops = {name.split("/")[0] for name in names}
    assert {"transcoding", "httpx", "m3u8", "ffmpeg", "stream-runtime"} <= tops
    assert not {"django", "boto3", "botocore", "encounters", "portal", "tests"} & tops
    ours = {name for name in names if name.startswith("transcoding/")}
    assert all(
        name.startswith(("transcoding/aws/", "transcoding/engine/", "transcoding/__init__")) for name in ours
    )


@pytest.mark.slow
def test_the_layer_holds_programs_that_can_be_run(packages):
    with zipfile.ZipFile(packages[1]) as archive:
        assert archive.namelist() == ["bin/ffmpeg", "bin/ffprobe"]
        assert all(entry.external_attr >> 16 & 0o111 for entry in archive.infolist())


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(packages, tmp_path):
    os.utime(REPOSITORY / "transcoding" / "__init__.py")
    work = tmp_path / "gathered"
    build._gather_functions(work)
    again = build._zip(work, tmp_path / "functions.zip")

    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(packages[0].read_bytes()).digest()


@pytest.mark.slow
def test_the_package_starts_by_itself(packages, tmp_path):
    """Unpacked, with the boto3 that Lambda's Python brings and nothing else of this environment."""
    with zipfile.ZipFile(packages[0]) as archive:
        archive.extractall(tmp_path / "task")
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six.py"):
        found = next(REPOSITORY.glob(f".venv/lib/python3*/site-packages/{name}"))
        (runtime / name).symlink_to(found)
    code = "import json, sys, time; began = time.perf_counter();" + "".join(
        f"import {name};" for name in HANDLERS
    )
    code += "json.dump({'seconds': time.perf_counter() - began, 'paths': sys.path}, sys.stdout)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": f"{tmp_path / 'task'}:{runtime}", "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["seconds"] < 60
