"""The rules that hold the packages apart. import-linter, in `make lint`, holds the rest."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["transcoding.engine.transcode", "transcoding.engine.store"])
def test_the_engine_loads_no_django(module):
    code = f"import sys, {module}; print(*(name for name in sys.modules if name.startswith('django')))"

    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert loaded.strip() == ""
