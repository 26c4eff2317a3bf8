"""A portal of its own for a benchmark: store and web server on free ports, which can be killed."""

import atexit
import os
import subprocess
import sys
import time
import urllib.request
from datetime import date
from http import HTTPStatus

from django.conf import settings
from django.core.management import call_command

from bench.environment import LINE, LINE_PORT, VAR
from encounters import consents, encounters, invitations, wordings
from encounters.callers import Caller
from encounters.models import Channel, Patient, Purpose
from portal import seaweed
from portal.accounts.models import Role, Team, User
from transcoding.store import object_store

BIRTH_DATE = date(1958, 3, 27)
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Stack:
    """Store and web server. Each can be killed without warning and started again."""

    def __init__(self) -> None:
        self.store: subprocess.Popen[bytes] | None = None
        self.web: subprocess.Popen[bytes] | None = None
        self.line: subprocess.Popen[bytes] | None = None
        atexit.register(self.stop)

    def start(self) -> None:
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        self.start_store()
        object_store().allow_origins([settings.BASE_URL])
        if LINE:
            ports = [str(LINE_PORT), str(settings.S3_PORT)]
            self.line = subprocess.Popen([sys.executable, "-m", "bench.line", *ports, str(LINE * 1e6 / 8)])
        self.start_web()

    def start_store(self) -> None:
        folder = VAR / "store"
        folder.mkdir(exist_ok=True)
        keys = {"AWS_ACCESS_KEY_ID": settings.S3_ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": settings.S3_SECRET_KEY}
        command = seaweed.arguments(folder, port=settings.S3_PORT, bucket=settings.S3_BUCKET)
        self.store = subprocess.Popen(command, env={**os.environ, **keys}, cwd=folder, **QUIET)
        seaweed.wait_until_ready(object_store())

    def start_web(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "portal.asgi:application", "--port", str(settings.PORT)]
        options = ["--no-access-log", "--lifespan", "off", "--log-level", "critical"]
        self.web = subprocess.Popen([*command, *options], cwd=settings.BASE_DIR, **QUIET)
        while not self._answers():
            time.sleep(0.2)

    @staticmethod
    def _answers() -> bool:
        try:
            with urllib.request.urlopen(f"{settings.BASE_URL}/healthz", timeout=2) as answer:  # noqa: S310 - ours
                return bool(answer.status == HTTPStatus.OK)
        except OSError:
            return False

    def kill_store(self) -> None:
        _kill(self.store)

    def kill_web(self) -> None:
        _kill(self.web)

    def stop(self) -> None:
        _kill(self.web)
        _kill(self.store)
        _kill(self.line)


def _kill(process: subprocess.Popen[bytes] | None) -> None:
    if process:
        process.kill()
        process.wait()


def links(count: int) -> list[str]:
    """Addresses of links to so many encounters, whose patients have consented."""
    team = Team.objects.create(code="bench", name="Bench")
    user = User.objects.create_user("bench@clinic.example", "a long password", name="B", role=Role.CLINICIAN)
    user.teams.add(team)
    caller = Caller(user=user)
    made = []
    for number in range(count):
        patient = Patient(record_number=f"B-{number}", given_name="A", family_name="B", birth_date=BIRTH_DATE)
        encounter = encounters.open_encounter(caller=caller, team=team, patient=patient, what_to_film="x")
        consents.give(
            caller=caller,
            encounter=encounter,
            wording=wordings.current(team, settings.LANGUAGE_CODE),
            purposes=[Purpose.DIAGNOSIS],
        )
        made.append(invitations.invite(caller=caller, encounter=encounter, channel=Channel.SCREEN))
    return made
