"""How long an encounter is kept, and that it is erased after."""

from datetime import timedelta

import pytest
from django.utils import timezone

from encounters import erasure, retention
from encounters.callers import Caller
from encounters.disposal import Erasure, ErasureProof, Why
from encounters.models import AccessRecord, Encounter, Verb, Video, VideoState
from portal.accounts.models import Team
from tests.conftest import signed_in
from tests.encounters.support import make_video
from transcoding.models import Status

pytestmark = pytest.mark.django_db


def today(days=0):
    return timezone.localdate() + timedelta(days=days)


@pytest.fixture
def video(encounter, store):
    found = make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED)
    store.put(found.source_key, b"film", "video/quicktime")
    return found


def age(days):
    """Let everything have come so many days ago."""
    then = timezone.now() - timedelta(days=days)
    Encounter.objects.update(opened_at=then)
    Video.objects.update(received_at=then)


def test_a_team_without_a_period_keeps_for_good(encounter, video):
    age(10_000)

    assert retention.keep_until(encounter) is None
    assert erasure.expire() == 0


@pytest.mark.parametrize(("days", "asked"), [(29, 0), (30, 0), (31, 1), (300, 1)])
def test_the_team_s_period_counts_from_the_last_video(encounter, team, video, days, asked):
    Team.objects.update(retention_days=30)
    Encounter.objects.update(opened_at=timezone.now() - timedelta(days=500))
    Video.objects.update(received_at=timezone.now() - timedelta(days=days))
    encounter.refresh_from_db()

    assert retention.keep_until(encounter) == today(30 - days)
    assert erasure.expire() == asked


def test_without_a_video_it_counts_from_the_opening(encounter, team):
    Team.objects.update(retention_days=30)
    age(31)

    assert erasure.expire() == 1


def test_an_encounter_s_own_day_comes_before_the_team_s(encounter, team, video, alice):
    Team.objects.update(retention_days=30)
    age(300)
    retention.keep(caller=Caller(user=alice), encounter=encounter, until=today())
    encounter.refresh_from_db()

    assert retention.keep_until(encounter) == today()
    assert erasure.expire() == 0
    Encounter.objects.update(retain_until=today(-1))
    assert erasure.expire() == 1


def test_it_is_erased_and_proved(encounter, team, video, store):
    Encounter.objects.update(retain_until=today(-1))
    erasure.expire()

    assert erasure.run() == {"erased": 1, "left": 0}
    assert list(store.keys()) == []
    assert ErasureProof.objects.get().why == Why.EXPIRED
    assert erasure.expire() == 0


def test_who_wants_it_longer_in_the_last_moment_gets_it(encounter, video, alice):
    Encounter.objects.update(retain_until=today(-1))
    erasure.expire()
    retention.keep(caller=Caller(user=alice), encounter=encounter, until=today(9))

    assert erasure.run() == {"erased": 0, "left": 1}
    assert not Erasure.objects.exists()
    assert Video.objects.get().state == VideoState.READY


def test_the_page_says_until_when_and_lets_it_be_changed(staff_client, alice, encounter, team):
    Team.objects.update(retention_days=90)
    address = f"/encounters/{encounter.reference}/"
    assert "90 days after the last video" in staff_client.get(address).content.decode()

    answer = staff_client.post(f"{address}keep/", {"until": today(9).isoformat()}, follow=True)

    page = answer.content.decode()
    assert "Kept until" in page
    assert "Keep it longer" in page  # it is near
    record = AccessRecord.objects.get(verb=Verb.RETENTION_CHANGED)
    assert (record.user, record.reason) == (alice, f"until {today(9).isoformat()}")
    staff_client.post(f"{address}keep/", {"until": ""})
    assert Encounter.objects.get().retain_until is None


@pytest.mark.parametrize("until", ["nonsense", "2001-01-01"])
def test_a_day_that_is_none_or_is_over_is_refused(staff_client, encounter, until):
    answer = staff_client.post(f"/encounters/{encounter.reference}/keep/", {"until": until}, follow=True)

    assert "notice--bad" in answer.content.decode()
    assert Encounter.objects.get().retain_until is None


def test_a_new_team_gets_the_usual_period(db, settings):
    settings.RETENTION_DAYS = 365
    assert Team.objects.create(code="a", name="A").retention_days == 365
    settings.RETENTION_DAYS = 0
    assert Team.objects.create(code="b", name="B").retention_days is None


def test_the_admin_sets_the_team_s_period(admin, team):
    type(admin).objects.update(is_staff=True, is_superuser=True)
    client = signed_in(type(admin).objects.get(pk=admin.pk), second_factor=True)
    path = f"/admin/accounts/team/{team.pk}/change/"
    fields = {"code": team.code, "name": team.name, "retention_days": "30"}

    assert client.post(path, fields).status_code == 302
    team.refresh_from_db()
    assert team.retention_days == 30
    assert client.post(path, fields | {"retention_days": "0"}).status_code == 200
