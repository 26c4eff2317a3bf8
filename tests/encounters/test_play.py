"""Watching: a short-lived address for those who may."""

import urllib.error
import urllib.request
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from encounters.models import AccessRecord, Video, Viewing
from tests.encounters.support import make_renditions, make_video
from transcoding.models import Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def ready(encounter, store, short_clip):
    """A video whose MP4 and poster are in the bucket."""
    video = make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED)
    mp4, poster = make_renditions(video)
    store.put(mp4, short_clip.read_bytes(), "video/mp4")
    store.put(poster, b"\xff\xd8\xff picture", "image/jpeg")
    return video


def fetch(address, **headers):
    return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10)


def played():
    return AccessRecord.objects.filter(verb="video played")


def test_the_team_is_led_to_an_address_that_serves_the_video(staff_client, bobs_client, ready, short_clip):
    for client in (staff_client, bobs_client):
        answer = client.get(f"/videos/{ready.pk}/play")
        assert answer.status_code == 302
        with fetch(answer.url) as served:
            assert served.status == 200
            assert served.headers["Content-Type"] == "video/mp4"
            assert served.headers["Content-Disposition"] == "inline"
            assert "no-store" in served.headers["Cache-Control"]
            assert served.read() == short_clip.read_bytes()


def test_a_range_can_be_asked_for(staff_client, ready, short_clip):
    content = short_clip.read_bytes()

    with fetch(staff_client.get(f"/videos/{ready.pk}/play").url, Range="bytes=100-199") as served:
        assert served.status == 206
        assert served.headers["Content-Range"] == f"bytes 100-199/{len(content)}"
        assert served.headers["Content-Type"] == "video/mp4"
        assert served.read() == content[100:200]


def test_the_address_is_short_lived_and_signed(staff_client, ready):
    address = staff_client.get(f"/videos/{ready.pk}/play").url

    query = parse_qs(urlsplit(address).query)
    assert query["X-Amz-Expires"] == ["900"]
    with pytest.raises(urllib.error.HTTPError) as refusal:
        fetch(address.partition("?")[0])
    assert refusal.value.code == 403
    refusal.value.close()


def test_the_address_opens_no_other_object(staff_client, ready):
    address = staff_client.get(f"/videos/{ready.pk}/play").url

    with pytest.raises(urllib.error.HTTPError) as refusal:
        fetch(address.replace(".web.mp4", ".poster.jpg"))
    assert refusal.value.code == 403
    refusal.value.close()


def test_the_redirect_itself_is_in_no_cache(staff_client, ready):
    assert "no-store" in staff_client.get(f"/videos/{ready.pk}/play").headers["Cache-Control"]


def test_the_poster_is_shown(staff_client, ready):
    answer = staff_client.get(f"/videos/{ready.pk}/poster")

    assert answer.status_code == 302
    with fetch(answer.url) as served:
        assert served.headers["Content-Type"] == "image/jpeg"
        assert served.read().startswith(b"\xff\xd8\xff")
    assert not played().exists()


def test_a_viewing_is_recorded_once(staff_client, alice, ready):
    for _ in range(3):
        staff_client.get(f"/videos/{ready.pk}/play")

    record = played().get()
    assert (record.user, record.video, record.encounter) == (alice, ready, ready.encounter)


def test_a_later_viewing_is_recorded_anew(staff_client, ready):
    staff_client.get(f"/videos/{ready.pk}/play")
    Viewing.objects.update(heard_at=timezone.now() - timedelta(seconds=901))
    staff_client.get(f"/videos/{ready.pk}/play")

    assert played().count() == 2


def test_a_long_viewing_whose_address_is_renewed_stays_one(staff_client, ready):
    for _ in range(3):
        staff_client.get(f"/videos/{ready.pk}/play")
        Viewing.objects.update(heard_at=timezone.now() - timedelta(seconds=800))

    assert played().count() == 1


def test_each_person_s_viewing_is_recorded(staff_client, bobs_client, alice, bob, ready):
    staff_client.get(f"/videos/{ready.pk}/play")
    bobs_client.get(f"/videos/{ready.pk}/play")

    assert {record.user for record in played()} == {alice, bob}


# Who may not


@pytest.mark.parametrize("what", ["play", "poster"])
def test_nobody_else_gets_an_address(charlies_client, admin_client, consenting_client, ready, what):
    address = f"/videos/{ready.pk}/{what}"

    assert charlies_client.get(address).status_code == 404
    assert admin_client.get(address).status_code == 403
    for client in (Client(), consenting_client):
        answer = client.get(address)
        assert (answer.status_code, answer.url) == (302, f"/accounts/login/?next={address}")
    assert not played().exists()


def test_who_left_the_team_gets_no_address(staff_client, alice, ready):
    alice.teams.clear()

    assert staff_client.get(f"/videos/{ready.pk}/play").status_code == 404


def test_a_removed_video_is_not_shown(staff_client, ready):
    Video.objects.update(removed_at=timezone.now())

    assert staff_client.get(f"/videos/{ready.pk}/play").status_code == 404
    assert staff_client.get(f"/videos/{ready.pk}/poster").status_code == 404


@pytest.mark.parametrize("status", [None, Status.QUEUED, Status.RUNNING, Status.FAILED, Status.CANCELLED])
def test_what_is_not_ready_is_not_found(staff_client, encounter, status):
    video = make_video(encounter, "IMG_0042.MOV", status)

    assert staff_client.get(f"/videos/{video.pk}/play").status_code == 404
    assert staff_client.get(f"/videos/{video.pk}/poster").status_code == 404
    assert not played().exists()


def test_it_is_only_looked_at(staff_client, ready):
    assert staff_client.post(f"/videos/{ready.pk}/play").status_code == 405
    assert staff_client.post(f"/videos/{ready.pk}/poster").status_code == 405


def test_no_signature_is_logged(staff_client, ready, log_lines):
    staff_client.get(f"/videos/{ready.pk}/play")

    assert "X-Amz-Signature" not in log_lines()
