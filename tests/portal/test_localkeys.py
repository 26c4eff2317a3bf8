"""Secrets of a demo, made at its first start."""

import json
import subprocess
import sys

from portal.localkeys import local_keys

PRINT = """
import sys, pathlib
from portal.localkeys import local_keys
print(local_keys(pathlib.Path(sys.argv[1])))
"""


def test_they_are_made_once_and_kept(tmp_path):
    first, second = local_keys(tmp_path), local_keys(tmp_path)

    assert first == second
    assert set(first) == {"secret_key", "s3_access_key", "s3_secret_key", "field_key", "field_index_key"}
    assert all(len(first[name]) >= 50 for name in ("secret_key", "field_key", "field_index_key"))


def test_a_folder_of_an_older_version_gets_what_was_added(tmp_path):
    (tmp_path / "keys.json").write_text('{"secret_key": "as it was"}')

    assert local_keys(tmp_path)["secret_key"] == "as it was"
    assert len(local_keys(tmp_path)["field_key"]) >= 50


def test_each_folder_has_its_own(tmp_path):
    assert local_keys(tmp_path / "one") != local_keys(tmp_path / "two")


def test_nobody_else_on_the_machine_may_read_them(tmp_path):
    local_keys(tmp_path)

    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"keys.json": 0o600, "field-keys.json": 0o600}


def test_processes_that_start_at_once_agree(tmp_path, settings):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT, str(tmp_path / "var")],
            stdout=subprocess.PIPE,
            cwd=settings.BASE_DIR,
            text=True,
        )
        for _ in range(4)
    ]

    answers = {process.communicate(timeout=30)[0] for process in processes}

    assert [process.returncode for process in processes] == [0] * 4
    kept = [json.loads((tmp_path / "var" / name).read_text()) for name in ("keys.json", "field-keys.json")]
    assert answers == {f"{kept[0] | kept[1]}\n"}
