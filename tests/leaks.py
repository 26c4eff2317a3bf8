"""A scan of all that a run of the tests leaves behind, for anything about its patients.

What patients are called, when they were born, how they are reached, what their files are called and the
tokens of their links is noted as it comes to be: from each row that is saved, and each token that is made.
At the end it must stand in none of these: log lines as production writes them, output of tests and of the
programs they start, logs and databases of demos, keys in the store, e-mails, access records, queued tasks,
attempts to convert and why they failed. The product has no metrics of its own yet; the functions' metrics
are lines of their logs.

Exceptions, all of them:
- the message that invites a patient goes to their address and holds their link;
- a demo prints its own link and date of birth, for whoever starts it, in lines that begin with four spaces.
"""

import contextlib
import copy
import logging
import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.core.mail import EmailMessage
from django.db import DatabaseError
from django.db.models.signals import post_save
from django_q.models import OrmQ

from encounters import invitations, keys
from encounters.models import AccessRecord, Patient, Video
from portal.demo import BARE
from portal.logging import JsonFormatter, NoSecrets
from transcoding.models import TranscodeAttempt, TranscodeJob

OF_DEMOS = (
    "Marsh",
    "Idris",
    "rosa.marsh@mail.example",
    "Wilhelmina",
    "Thistlewood",
    "1971-11-09",
    "1949-02-08",
)
"""Patients whom only other processes see: of the demo, and of the tests that use it in a browser."""
SHORTEST, LONG = 5, 8
"""Letters of what is looked for: what is shorter than the first turns up by chance, in a digest or a token;
what is shorter than the second counts as a word of its own only."""
WORD = re.compile(r"[\w-]{32,}")


class Leaks:
    """What must not turn up, and where it could."""

    def __init__(self) -> None:
        self.private = set(OF_DEMOS)
        self.tokens: set[str] = set()
        self._said: dict[tuple[str, str], str] = {}

    def keep_private(self, *words: Any) -> None:
        for word in words:
            if isinstance(word, date):
                self.private |= {word.isoformat(), word.strftime("%d/%m/%Y"), word.strftime("%-d %B %Y")}
            elif len(str(word)) >= SHORTEST:
                self.private.add(str(word))

    def said(self, where: str, text: str) -> None:
        if text:
            self._said.setdefault((where, text), os.environ.get("PYTEST_CURRENT_TEST", "outside of a test"))

    def found(self) -> list[str]:
        """One line for each thing that turned up where it must not."""
        private = {word: _pattern(word) for word in self.private}
        return sorted(
            {
                f"{what!r} in {where}, first in {test}: {_around(text, what)}"
                for (where, text), test in self._said.items()
                for what in self._in(text, private)
            }
        )

    def _in(self, text: str, private: dict[str, re.Pattern[str]]) -> Iterator[str]:
        folded = text.casefold()
        for word, pattern in private.items():
            if word.casefold() in folded and pattern.search(folded):
                yield word
        yield from self.tokens.intersection(WORD.findall(text))


def _pattern(word: str) -> re.Pattern[str]:
    end = "" if len(word) >= LONG else r"(?![^\W_])"
    start = "" if len(word) >= LONG else r"(?<![^\W_])"
    return re.compile(start + re.escape(word.casefold()) + end)


def _around(text: str, what: str) -> str:
    at = max(0, text.casefold().find(what.casefold()))
    return repr(text[max(0, at - 60) : at + len(what) + 60])


leaks = Leaks()
"""Of this run."""


class _LogLines(logging.Handler):
    """Each record as production writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        line = copy.copy(record)
        NoSecrets().filter(line)
        leaks.said("a log line", self.format(line))


def log_file(path: Path) -> None:
    """Take what another program wrote."""
    if path.exists():
        lines = path.read_text(errors="replace").splitlines()
        leaks.said(f"the file {path.name}", "\n".join(line for line in lines if not line.startswith(BARE)))


def left_by_demo(folder: Path, object_keys: list[str]) -> None:
    """Take logs, database and e-mails of a demo that ended, and the keys in its store."""
    for path in (folder / "output.log", folder / "store.log"):
        log_file(path)
    for path in folder.glob("portal.sqlite3*"):
        leaks.said(f"the demo's {path.name}", path.read_bytes().decode("latin-1"))
    for path in folder.glob("mail/*"):
        leaks.said("an e-mail of a demo", path.read_text(errors="replace"))
    for key in object_keys:
        leaks.said("an object key", key)


def _note_row(sender: type, instance: Any, **kwargs: Any) -> None:
    if isinstance(instance, Patient):
        leaks.keep_private(
            instance.given_name, instance.family_name, instance.birth_date, instance.mobile, instance.email
        )
    # What somebody dropped into the bucket by hand has the name of its key; "ready" is no name of a file.
    is_dropped = isinstance(instance, Video) and instance.original_name == Path(instance.source_key).name
    if isinstance(instance, Video) and "." in instance.original_name and not is_dropped:
        leaks.keep_private(instance.original_name)


def _new_token() -> str:
    token = keys.new_token()
    leaks.tokens.add(token)
    return token


def _note_message(message: EmailMessage) -> None:
    text = message.message().as_string()
    if message.to and message.to[0] in leaks.private:
        text = text.replace(f"To: {message.to[0]}\n", "")
        text = re.sub(rf"{re.escape(settings.BASE_URL)}/u/[\w-]+/", "", text)
    leaks.said("an e-mail", text)


def _note_rows() -> None:
    """What rows say in words of the portal's own, and what waits in the queue."""
    for reason in AccessRecord.objects.exclude(reason="").values_list("reason", flat=True):
        leaks.said("an access record", reason)
    for detail in TranscodeJob.objects.exclude(failure_detail="").values_list("failure_detail", flat=True):
        leaks.said("a job", detail)
    for attempt in TranscodeAttempt.objects.values("detail", "log_tail", "ffmpeg_arguments"):
        leaks.said("an attempt", str(attempt))
    for task in OrmQ.objects.all():
        leaks.said("a queued task", str(task.task))


class Scan:
    """The plugin. `tests/conftest.py` registers it, and `store` tells it the keys of each test."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def pytest_sessionstart(self) -> None:
        logging.getLogger().addHandler(_LogLines())
        post_save.connect(_note_row)
        invitations.new_token = _new_token

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Before the test's rows and messages are gone."""
        for message in getattr(mail, "outbox", []):
            _note_message(message)
        if {"db", "transactional_db"} & set(getattr(item, "fixturenames", ())) or item.get_closest_marker(
            "django_db"
        ):
            # Some tests end with a database that does not answer: it says nothing either.
            with contextlib.suppress(DatabaseError):
                _note_rows()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        leaks.said("output", report.capstdout)
        leaks.said("output", report.capstderr)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.found = leaks.found()
        if self.found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for line in self.found:
            terminalreporter.write_line(f"LEAK {line}", red=True)
        if self.found:
            terminalreporter.write_line(f"{len(self.found)} things about patients leaked.", red=True)
