"""Secrets of a demo or a developer's machine: made at the first start, kept in `var/`, never in code."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def local_keys(folder: Path) -> dict[str, str]:
    """The machine's own keys, made on the first call.

    Two processes that start at once agree: a file is linked into place whole, and the first wins.
    """
    keys: dict[str, str] = {}
    for name, make in FILES.items():
        path = folder / name
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _create(path, make())
        keys |= json.loads(path.read_text())
    return keys


FILES: dict[str, Callable[[], dict[str, str]]] = {
    "keys.json": lambda: {
        "secret_key": secrets.token_urlsafe(50),
        "s3_access_key": secrets.token_hex(10),
        "s3_secret_key": secrets.token_urlsafe(30),
    },
    "field-keys.json": lambda: {
        "field_key": secrets.token_urlsafe(50),
        "field_index_key": secrets.token_urlsafe(50),
    },
}
"""What is added goes into a file of its own, so that a folder of an older version gets it too."""


def _create(path: Path, keys: dict[str, str]) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(keys))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
