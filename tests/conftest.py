"""What every test may lean on: a real object store, people, and an encounter to work with."""

import io
import logging
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client, TransactionTestCase
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django import Settings

from encounters import append_only
from encounters.callers import Caller
from encounters.encounters import open_encounter
from encounters.invitations import invite
from encounters.models import Channel, Encounter, Patient
from portal import seaweed
from portal.accounts import factors
from portal.accounts.invitations import trust_address
from portal.accounts.models import Role, Team, User
from portal.logging import JsonFormatter, NoSecrets
from tests.leaks import Scan, leaks
from transcoding.engine.binaries import find_ffmpeg
from transcoding.engine.contracts import FailureCode
from transcoding.engine.store import S3Store
from transcoding.models import FINAL, Status, TranscodeJob
from transcoding.store import object_store

BIRTH_DATE = date(1958, 3, 27)
QUERIES_FOR_A_RECORD = 3 if connection.vendor == "postgresql" else 2
"""An access record is read for the last digest, then added; PostgreSQL takes a lock before."""
REQUIRE_ALL = os.environ.get("REQUIRE_ALL") == "1"
SHARED_MEDIA = Path(settings.BASE_DIR).parent / "shared" / "media"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Scan(), "leaks")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests to CI, unless they are asked for by mark or by name."""
    if REQUIRE_ALL or config.option.markexpr or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where everything is installed, a skip hides a failure."""
    report = yield
    if REQUIRE_ALL and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"Skipped although REQUIRE_ALL=1: {call.excinfo and call.excinfo.value}"
    return report


@pytest.fixture(autouse=True, scope="session")
def _empty_database_after_test() -> Iterator[None]:
    """Tests with transactions of their own empty all tables; the access records' triggers refuse that."""
    empty = TransactionTestCase._fixture_teardown

    def without_triggers(case: TransactionTestCase) -> None:
        drop_triggers()
        empty(case)  # as after each `migrate`, they are put up again

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", without_triggers)
        yield


def drop_triggers(*names: str) -> None:
    """What somebody can do who is master of the database."""
    with connection.cursor() as cursor:
        for name in names or append_only.guards(connection):
            on_table = f" ON {append_only.table_of(name)}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on_table}")


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """Folder of real phone videos that are not part of the repository."""
    if not SHARED_MEDIA.is_dir():
        pytest.skip("needs the real phone videos in ../shared/media, beside the project's folder")
    return SHARED_MEDIA


@pytest.fixture(scope="session")
def _seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Store]:
    folder = tmp_path_factory.mktemp("store")
    keys = {"AWS_ACCESS_KEY_ID": settings.S3_ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": settings.S3_SECRET_KEY}
    server = subprocess.Popen(
        seaweed.arguments(folder, port=settings.S3_PORT, bucket=settings.S3_BUCKET),
        env={**os.environ, **keys},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        store = object_store()
        seaweed.wait_until_ready(store)
        store.allow_origins([settings.BASE_URL])
        yield store
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def store(_seaweed: S3Store) -> Iterator[S3Store]:
    """A real S3 server with an empty bucket."""
    for key in list(_seaweed.keys()):
        _seaweed.delete(key)
    yield _seaweed
    for key in list(_seaweed.keys()):
        leaks.said("an object key", key)


@pytest.fixture
def log_lines() -> Iterator[Callable[[], str]]:
    """`log_lines()`: everything that was logged, as production writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(NoSecrets())
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream.getvalue
    root.removeHandler(handler)


@pytest.fixture
def unreachable_store(settings: Settings) -> Iterator[None]:
    """The store's address answers nobody, as when its machine is down."""
    settings.S3_ENDPOINT = f"http://127.0.0.1:{seaweed.free_port()}"
    object_store.cache_clear()
    yield
    object_store.cache_clear()


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of a moving picture with a tone, as a phone would wrap it."""
    path = tmp_path_factory.mktemp("clips") / "clip.mov"
    source = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=1"]
    tone = ["-f", "lavfi", "-i", "sine=frequency=330:duration=1"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    program = [str(find_ffmpeg().path), "-nostdin", "-v", "error"]
    subprocess.run([*program, *source, *tone, *codecs, str(path)], check=True, timeout=60)
    return path


def make_job(status: Status = Status.QUEUED, **fields: Any) -> TranscodeJob:
    """A job in this status, with what the constraints ask of it."""
    now = timezone.now()
    required: dict[str, Any] = {
        "source_key": f"e5fa44f2b31/{os.urandom(20).hex()}.mov",
        "attempt_limit": 3,
        "failure_code": FailureCode.DAMAGED if status == Status.FAILED else "",
        "lease_expires_at": now if status == Status.RUNNING else None,
        "finished_at": now if status in FINAL else None,
    }
    return TranscodeJob.objects.create(status=status, **{**required, **fields})


def tasks_waiting(func: str = "transcoding.worker.convert") -> list[tuple[Any, ...]]:
    """The arguments of each task in the queue that calls this function."""
    return [row.task["args"] for row in OrmQ.objects.order_by("pk") if row.task["func"] == func]


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each call gives, or the exception that it raises, when all of them start together."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            start.wait()
            return call()
        except Exception as error:  # noqa: BLE001 - it is what the call gave
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture
def team(db: None) -> Team:
    return Team.objects.create(code="neurology", name="Neurology")


@pytest.fixture
def other_team(db: None) -> Team:
    return Team.objects.create(code="orthopaedics", name="Orthopaedics")


def _user(name: str, *teams: Team, role: Role = Role.CLINICIAN) -> User:
    user = User.objects.create_user(f"{name}@clinic.example", "a long password", name=name.title(), role=role)
    user.teams.set(teams)
    trust_address(user)
    return user


@pytest.fixture
def alice(team: Team) -> User:
    """The clinician whose encounter it is."""
    return _user("alice", team)


@pytest.fixture
def bob(team: Team) -> User:
    """Her colleague in the same team."""
    return _user("bob", team)


@pytest.fixture
def charlie(other_team: Team) -> User:
    """A clinician of another team, who must see nothing."""
    return _user("charlie", other_team)


@pytest.fixture
def admin(db: None) -> User:
    return _user("admin", role=Role.ADMIN)


@pytest.fixture
def patient(team: Team) -> Patient:
    return Patient(
        record_number="R-17",
        given_name="Rosalind",
        family_name="Quillfeather",
        birth_date=BIRTH_DATE,
        email="rosalind@quillfeather.example",
    )


@pytest.fixture
def encounter(alice: User, team: Team, patient: Patient) -> Encounter:
    return open_encounter(
        caller=Caller(user=alice), team=team, patient=patient, what_to_film="Please film your gait."
    )


@pytest.fixture
def link(alice: User, encounter: Encounter) -> str:
    """The path of a patient's link, such as `/u/<token>/`."""
    address = invite(caller=Caller(user=alice), encounter=encounter, channel=Channel.SCREEN)
    return address.removeprefix(settings.BASE_URL)


def signed_in(user: User, *, second_factor: bool = False) -> Client:
    client = Client()
    client.force_login(user)
    if second_factor:
        session = client.session
        session[factors.SESSION_KEY] = user.pk
        session.save()
    return client


@pytest.fixture
def staff_client(alice: User) -> Client:
    return signed_in(alice)


@pytest.fixture
def bobs_client(bob: User) -> Client:
    return signed_in(bob)


@pytest.fixture
def charlies_client(charlie: User) -> Client:
    return signed_in(charlie)


@pytest.fixture
def admin_client(admin: User) -> Client:
    return signed_in(admin)


def try_date(client: Client, link: str, given: dict[str, Any]) -> Any:
    """Open the link, and answer the question that it leads to."""
    opened = client.get(link)
    return client.post(opened.url, given) if opened.status_code == 302 else opened


def give_birth_date(client: Client, link: str, born: date = BIRTH_DATE) -> None:
    try_date(client, link, {"day": born.day, "month": born.month, "year": born.year})


@pytest.fixture
def patient_client(link: str) -> Client:
    """A patient's browser, past the date of birth, before consent."""
    client = Client()
    give_birth_date(client, link)
    return client


@pytest.fixture
def consenting_client(patient_client: Client) -> Client:
    """A patient's browser, past consent: ready to send."""
    patient_client.post("/send/consent/", {"diagnosis": "on"})
    return patient_client
