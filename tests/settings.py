"""The demo's settings, in a folder of its own that ends with the run, and on free ports."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from portal.seaweed import free_port

VAR = tempfile.mkdtemp(prefix="portal-tests-")
atexit.register(shutil.rmtree, VAR, ignore_errors=True)
os.environ |= {
    "DEMO": "true",
    "VAR_DIR": VAR,
    "PORT": "8000",
    "S3_PORT": str(free_port()),
    "BASE_URL": "http://testserver",
    "LOG_LEVEL": "INFO",
}

from portal.settings import *  # noqa: E402, F403
from portal.settings import DATABASES, LOGGING, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES |= {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
# A file, not memory: threads and other processes shall meet the same database, locks included.
if "sqlite" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["TEST"] = {"NAME": str(Path(VAR) / "tests.sqlite3")}
LOGGING["handlers"] = {"stderr": {"class": "logging.NullHandler"}}  # pytest captures the records itself
ACCOUNT_RATE_LIMITS = False
(Path(VAR) / "static").mkdir()  # WhiteNoise warns of a folder that is not there
