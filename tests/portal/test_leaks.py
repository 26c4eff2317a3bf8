"""The scan at the end of a run finds what it is there for."""

import os
import re
import subprocess
import sys

from django.conf import settings

PLANTED = settings.BASE_DIR / "tests" / "planted_leaks.py"


def test_each_planted_leak_is_found_nothing_else_is_and_the_run_fails():
    planted = set(re.findall(r"^def (test_\w+)", PLANTED.read_text(), re.MULTILINE))
    # Not in this run's own database, which the other run would drop at its end.
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(PLANTED)]

    done = subprocess.run(
        command,
        env=environment,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert f"{len(planted)} passed" in done.stdout, done.stdout
    found = set(re.findall(r"^LEAK .*::(test_\w+) \(", done.stdout, re.MULTILINE))
    assert found == planted - {"test_clean"}
    assert done.returncode == 1
