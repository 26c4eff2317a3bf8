"""One table of every address and every kind of caller, with what each is told.

A number is the status of the answer; `login` is a redirect to the sign-in page, `factor` one to setting up
the second factor, `302` one to elsewhere. Outside the demo, as here, staff need that factor.
An address without a row fails. To add one, write its row into `who_may_what.txt`; if it says anything else
than what happens, the failing test prints the row as it is.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from encounters.callers import Caller
from encounters.disposal import Erasure, Why
from encounters.encounters import open_encounter, open_with_reason
from encounters.invitations import invite
from encounters.models import Channel, Encounter, Invitation, Patient
from portal.accounts.models import User
from tests.conftest import BIRTH_DATE, give_birth_date, signed_in
from tests.encounters.support import CONTENT, announce, announcement, checksum, make_renditions, make_video
from transcoding.models import Status

pytestmark = pytest.mark.django_db

CALLERS = {
    "anonymous": "who has not signed in",
    "patient": "past date of birth and consent",
    "other_patient": "of another encounter of the same team",
    "expired": "a patient whose link expired since",
    "revoked": "a patient whose link was withdrawn since",
    "clinician": "of the team whose encounter it is",
    "stranger": "a clinician of another team",
    "admin": "without a reason",
    "reasoned": "an admin who stated one for this encounter",
    "no_factor": "a clinician of the team who gave a password alone",
}

TABLE = Path(__file__).with_name("who_may_what.txt")
UNNAMED = {
    "admin:unnamed-<path:object_id>/": "/admin/accounts/user/1/",
    "admin:unnamed-(?P<url>.*)$": "/admin/nonsense/",
}
WAYS = {"login": "/accounts/login/", "factor": "/accounts/2fa/"}
JSON = {"content_type": "application/json"}


def rows() -> dict[tuple[str, str], dict[str, str]]:
    """The table: `{(method, name): {caller: what they are told}}`."""
    header, *body = [line.split() for line in TABLE.read_text().splitlines() if line.strip()]
    assert header[2:] == list(CALLERS)
    return {(method, name): dict(zip(CALLERS, told, strict=True)) for method, name, *told in body}


def names(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    """The name of every address; an address without one would be without a row too."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLPattern):
            yield prefix + (pattern.name or f"unnamed-{pattern.pattern}")
        else:
            inner = f"{pattern.namespace}:" if pattern.namespace else ""
            yield from names(pattern.url_patterns, prefix + inner)


class World:
    """An encounter with a video, a link and an upload, and somebody of each kind."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        need = request.getfixturevalue
        self.store = need("store")
        self.alice, self.encounter, self.team = need("alice"), need("encounter"), need("team")
        self.video = make_video(self.encounter, "IMG_0001.MOV", Status.SUCCEEDED)
        make_renditions(self.video)
        self.failed = make_video(self.encounter, "IMG_0002.MOV", Status.FAILED)
        self.erasure = Erasure.objects.create(encounter=self.encounter, video=self.failed, why=Why.DELETED)
        self.link = self._link(self.encounter)
        self.invitation = Invitation.objects.get()
        reasoned = self._admin("kim")
        open_with_reason(caller=Caller(user=reasoned), encounter=self.encounter, reason="It does not play.")
        self.clients = {
            "anonymous": Client(),
            "patient": self._patient(self.encounter),
            "other_patient": self._patient(self._other_encounter()),
            "expired": self._patient(self.encounter, created_at=_ago(days=2), expires_at=_ago(days=1)),
            "revoked": self._patient(self.encounter, revoked_at=_ago(days=1)),
            "clinician": signed_in(self.alice, second_factor=True),
            "stranger": signed_in(need("charlie"), second_factor=True),
            "admin": signed_in(self._admin("jo"), second_factor=True),
            "reasoned": signed_in(reasoned, second_factor=True),
            "no_factor": signed_in(self.alice),
        }
        self.upload = announce(self.clients["patient"]).json()["id"]
        need("settings").MFA_REQUIRED = True

    def _admin(self, name: str) -> User:
        return User.objects.create_superuser(f"{name}@clinic.example", "a long password", name=name)

    def _link(self, encounter: Encounter) -> str:
        address = invite(caller=Caller(user=self.alice), encounter=encounter, channel=Channel.SCREEN)
        return address.removeprefix(settings.BASE_URL)

    def _other_encounter(self) -> Encounter:
        patient = Patient(record_number="R-18", given_name="B", family_name="T", birth_date=BIRTH_DATE)
        return open_encounter(
            caller=Caller(user=self.alice), team=self.team, patient=patient, what_to_film="x"
        )

    def _patient(self, encounter: Encounter, **since: Any) -> Client:
        client, link = Client(), self._link(encounter)
        give_birth_date(client, link)
        client.post("/send/consent/", {"diagnosis": "on"})
        newest = Invitation.objects.filter(encounter=encounter).first()
        assert newest
        Invitation.objects.filter(pk=newest.pk).update(**({"expires_at": newest.expires_at} | since))
        return client

    def address(self, name: str) -> str:
        job = "conversion" in name
        known = {
            "reference": self.encounter.reference,
            "pk": self.failed.job_id if job else self.upload if "upload" in name else self.video.pk,
            "token": self.link.split("/")[2],
            "uidb36": "1",
            "key": "abc",
            "object_id": self.team.pk if "team" in name else self.alice.pk,
            "id": self.alice.pk,
            "app_label": "accounts",
            "content_type_id": 1,
            "url": "nonsense",
        }
        if name == "erasure_retry":
            known["pk"] = self.erasure.pk
        if name == "invitation_revoke":
            known["pk"] = self.invitation.pk
        if name.startswith("mfa_"):
            known["pk"] = 1
        if "unnamed" in name:
            return UNNAMED[name]
        keys = _keys(name)
        return reverse(name, kwargs={key: known[key] for key in keys}) if keys else reverse(name)

    def body(self, name: str) -> dict[str, Any]:
        bodies: dict[str, dict[str, Any]] = {
            "upload_new": {"data": announcement(b"another"), **JSON},
            "upload_parts": {"data": {"parts": [{"number": 1, "sha256": checksum(CONTENT)}]}, **JSON},
            "encounter_open": {"data": {"reason": "The patient phoned."}},
            "encounter_hold": {"data": {"reason": "A complaint."}},
        }
        return bodies.get(name, {})

    def told(self, caller: str, method: str, name: str) -> str:
        """What this caller is told; whatever it changed is undone."""
        client = Client(raise_request_exception=False)
        client.cookies.load({key: morsel.value for key, morsel in self.clients[caller].cookies.items()})
        act: Callable[..., Any] = getattr(client, method.lower())
        with transaction.atomic():
            answer = act(self.address(name), **self.body(name) if method == "POST" else {})
            transaction.set_rollback(True)
        if answer.status_code == 302:
            return next((word for word, way in WAYS.items() if answer.url.startswith(way)), "302")
        return str(answer.status_code)


def _ago(**delta: int) -> Any:
    return timezone.now() - timedelta(**delta)


def _keys(name: str) -> list[str]:
    resolver = get_resolver()
    for namespace in name.split(":")[:-1]:
        resolver = resolver.namespace_dict[namespace][1]
    ((_, parameters),) = resolver.reverse_dict.getlist(name.rpartition(":")[2])[0][0][:1]
    return list(parameters)


def test_every_address_has_a_row_and_every_row_an_address():
    listed = {name for _, name in rows()}

    assert sorted(set(names()) - listed) == []
    assert sorted(listed - set(names())) == []


def test_each_caller_is_told_what_the_table_says(request):
    world = World(request)

    wrong = []
    # Last what the store does not undo.
    for (method, name), expected in sorted(rows().items(), key=lambda row: row[0][0] == "DELETE"):
        told = {caller: world.told(caller, method, name) for caller in CALLERS}
        if told != expected:
            wrong.append(f"{method:6} {name:37} " + " ".join(f"{told[who]:>{len(who)}}" for who in CALLERS))

    assert not wrong, "\n".join(wrong)


def test_what_is_not_there_looks_like_what_one_may_not_see(request):
    world = World(request)
    strangers = world.clients["stranger"]

    for there, missing in (
        (world.address("encounter"), "/encounters/0123456789abcdef/"),
        (world.address("video"), f"/videos/{uuid4()}/"),
    ):
        one, other = strangers.get(there), strangers.get(missing)
        assert one.status_code == other.status_code == 404
        assert one.content == other.content
