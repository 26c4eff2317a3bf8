"""The browser's modules, tested by Node's own runner."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

HERE = Path(__file__).parent
NODE = shutil.which("node")


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """The modules in a folder that says what they are: without, older versions of Node do not read them."""
    folder = tmp_path_factory.mktemp("modules")
    shutil.copytree(settings.BASE_DIR / "encounters/static/encounters", folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.mark.skipif(NODE is None, reason="needs Node.js to run the browser's modules")
@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.mjs")), ids=lambda path: path.name)
def test_node_finds_nothing_wrong(modules, path):
    done = subprocess.run(
        [NODE, "--test", "--test-reporter=spec", path],
        env={**os.environ, "MODULES": str(modules)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout.rpartition("failing tests")[2]
    assert re.search(r"pass [1-9]", done.stdout)
