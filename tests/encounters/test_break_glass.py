"""An admin looks at an encounter: only with a reason, for a while, and the team is told."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core import mail
from django.utils import timezone

from encounters import notices
from encounters.models import REASON_HOLDS, AccessRecord, Encounter, Verb
from tests.conftest import signed_in, tasks_waiting
from tests.encounters.support import make_renditions, make_video
from transcoding.models import Status

pytestmark = pytest.mark.django_db
REASON = "The patient phoned: the video does not play."


@pytest.fixture
def address(encounter):
    return f"/encounters/{encounter.reference}/"


@pytest.fixture
def opened(admin_client, address):
    """The admin's browser, after stating a reason."""
    assert admin_client.post(f"{address}open/", {"reason": REASON}).url == address
    return admin_client


def test_without_a_reason_an_admin_is_asked_for_one_and_sees_nothing(admin_client, address):
    answer = admin_client.get(address)

    assert answer.status_code == 403
    assert "Why do you open this?" in answer.content.decode()
    assert "Quillfeather" not in answer.content.decode()


def test_with_a_reason_an_admin_sees_page_and_videos(opened, encounter, address):
    video = make_video(encounter, "IMG_0001.MOV", Status.SUCCEEDED)
    make_renditions(video)

    assert "Quillfeather" in opened.get(address).content.decode()
    assert opened.get(f"/videos/{video.pk}/play").status_code == 302
    assert opened.get(f"/videos/{video.pk}/poster").status_code == 302
    assert opened.get(f"{address}access/").status_code == 200


def test_reason_and_looking_are_recorded(opened, admin, address):
    opened.get(address)

    records = AccessRecord.objects.filter(user=admin).values_list("verb", "reason")
    assert list(records) == [(Verb.OPENED_WITH_REASON, REASON), (Verb.ENCOUNTER_VIEWED, "")]


@pytest.mark.usefixtures("opened")
def test_the_team_reads_who_looked_and_why(bobs_client, address):
    page = bobs_client.get(address).content.decode()

    assert "Admin, an administrator, opened this" in page
    assert "The patient phoned: the video does not play." in page


@pytest.mark.usefixtures("opened")
def test_whose_encounter_it_is_gets_a_message_without_the_reason(encounter, alice):
    assert tasks_waiting("encounters.notices.tell_of_opening") == [(encounter.reference,)]

    notices.tell_of_opening(encounter.reference)

    (message,) = mail.outbox
    assert message.to == [alice.email]
    assert f"/encounters/{encounter.reference}/access/" in message.body
    assert "phoned" not in message.body + message.subject
    assert "Quillfeather" not in message.body + message.subject


def test_it_holds_for_an_hour(opened, address, monkeypatch):
    later = timezone.now() + REASON_HOLDS + timedelta(seconds=1)
    monkeypatch.setattr(
        "encounters.models.timezone", SimpleNamespace(now=lambda: later, localdate=timezone.localdate)
    )

    assert opened.get(address).status_code == 403


def test_it_holds_for_this_encounter_and_this_admin_alone(
    opened, other_encounter, address, django_user_model
):
    other = django_user_model.objects.create_superuser("jo@clinic.example", "a long password", name="Jo")

    assert opened.get(f"/encounters/{other_encounter.reference}/").status_code == 403
    assert signed_in(other).get(address).status_code == 403


def test_looking_is_all_that_a_reason_allows(opened, encounter, address):
    make_video(encounter, "IMG_0001.MOV", Status.SUCCEEDED)
    page = opened.get(address).content.decode()

    assert "Show link and QR code" not in page
    assert "Mark as reviewed" not in page
    assert opened.post(f"{address}links/").status_code == 404
    assert opened.post(f"{address}review/").status_code == 404
    assert Encounter.objects.get().reviewed_at is None


@pytest.mark.parametrize("reason", ["", "   ", "because", "x" * 501])
def test_a_reason_is_a_sentence(admin_client, address, reason):
    answer = admin_client.post(f"{address}open/", {"reason": reason})

    assert answer.status_code == 403
    assert "field__error" in answer.content.decode()
    assert not AccessRecord.objects.filter(verb=Verb.OPENED_WITH_REASON).exists()


def test_a_clinician_of_another_team_opens_nothing_with_a_reason(charlies_client, address):
    assert charlies_client.post(f"{address}open/", {"reason": REASON}).status_code == 404


def test_what_was_erased_is_not_opened(admin_client, address):
    Encounter.objects.update(erased_at=timezone.now())

    assert admin_client.get(address).status_code == 410
    assert admin_client.post(f"{address}open/", {"reason": REASON}).status_code == 404
