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
    assert set(first) == {"secret_key", "s3_access_key", "s3_secret_key"}
    assert len(first["secret_key"]) >= 50


def test_each_folder_has_its_own(tmp_path):
    assert local_keys(tmp_path / "one") != local_keys(tmp_path / "two")


def test_nobody_else_on_the_machine_may_read_them(tmp_path):
    local_keys(tmp_path)

    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


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
    assert answers == {f"{json.loads((tmp_path / 'var' / 'keys.json').read_text())}\n"}
