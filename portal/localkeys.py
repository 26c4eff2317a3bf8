"""Secrets of a demo or a developer's machine: made at the first start, kept in `var/`, never in code."""

import json
import os
import secrets
from pathlib import Path


def local_keys(folder: Path) -> dict[str, str]:
    """The machine's own keys, made on the first call: `secret_key`, `s3_access_key`, `s3_secret_key`.

    Two processes that start at once agree: the file is linked into place whole, and the first wins.
    """
    path = folder / "keys.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _create(path)
    keys: dict[str, str] = json.loads(path.read_text())
    return keys


def _create(path: Path) -> None:
    keys = {
        "secret_key": secrets.token_urlsafe(50),
        "s3_access_key": secrets.token_hex(10),
        "s3_secret_key": secrets.token_urlsafe(30),
    }
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(keys))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
