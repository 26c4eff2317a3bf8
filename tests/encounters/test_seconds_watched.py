"""How many seconds of a video somebody watched is recorded once, and truly."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from encounters import audit, playback
from encounters.models import AccessRecord, Verb, Viewing
from encounters.viewings import union
from tests.conftest import at_once, drop_triggers, signed_in
from tests.encounters.support import make_renditions, make_video
from transcoding.models import Status

pytestmark = pytest.mark.django_db
LENGTH = 65.2


@pytest.fixture
def video(encounter):
    video = make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED)
    make_renditions(video)
    return video


@pytest.fixture
def tell(staff_client, video):
    """`tell([0, 10], last=True)`: what a player reports."""

    def report(*pieces, last=False, client=staff_client):
        data = {"played": json.dumps(pieces)} | ({"last": "1"} if last else {})
        return client.post(f"/videos/{video.pk}/watched", data)

    return report


def records():
    return list(AccessRecord.objects.filter(verb=Verb.SECONDS_WATCHED))


def seconds():
    return [record.seconds for record in records()]


def silence():
    Viewing.objects.update(heard_at=timezone.now() - timedelta(seconds=901))
    return playback.write_down_what_is_over()


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([], []),
        ([(0, 10), (10, 12)], [(0, 12)]),
        ([(5, 10), (0, 6)], [(0, 10)]),
        ([(0, 10), (2, 3)], [(0, 10)]),
        ([(0, 1), (4, 5)], [(0, 1), (4, 5)]),
        ([(3, 3), (9, 7)], []),
        ([(-5, 2), (60, 1000)], [(0, 2), (60, LENGTH)]),
        ([(70, 80)], []),
    ],
)
def test_each_second_of_the_film_counts_once(pieces, expected):
    assert union(pieces, length=LENGTH) == expected


def test_it_is_recorded_when_the_page_is_left(staff_client, alice, video, tell):
    staff_client.get(f"/videos/{video.pk}/play")
    tell([0, 8], [8, 15.1])
    assert seconds() == []

    assert tell([15.1, 20], last=True).status_code == 204

    (record,) = records()
    began = AccessRecord.objects.get(verb=Verb.VIDEO_PLAYED)
    assert (record.user, record.video, record.encounter) == (alice, video, video.encounter)
    assert (record.seconds, record.reason) == (20, f"of viewing {began.number}")


def test_what_is_seen_again_counts_once(tell):
    tell([0, 20])
    tell([5, 15])
    tell([10, 25], last=True)

    assert seconds() == [25]


def test_who_comes_back_to_the_page_adds_what_is_new(tell):
    tell([0, 10], last=True)
    tell([5, 30], last=True)
    tell([0, 30], last=True)

    assert seconds() == [10, 20]
    assert AccessRecord.objects.filter(verb=Verb.VIDEO_PLAYED).count() == 1


def test_a_page_that_vanished_is_written_down_by_the_schedule(alice, tell):
    tell([0, 12])
    assert playback.write_down_what_is_over() == 0

    assert silence() == 1

    (record,) = records()
    assert (record.user, record.seconds, record.address) == (alice, 12, "127.0.0.1")
    assert not Viewing.objects.exists()
    assert silence() == 0


def test_another_viewing_counts_anew(tell):
    tell([0, 12], last=True)
    silence()
    tell([0, 7], last=True)

    assert seconds() == [12, 7]
    assert AccessRecord.objects.filter(verb=Verb.VIDEO_PLAYED).count() == 2


def test_nobody_can_have_watched_more_than_there_is(tell):
    tell([0, 10_000], [-50, 3], last=True)

    assert seconds() == [65]


def test_what_plays_from_memory_without_asking_for_the_address_is_a_viewing_too(tell):
    tell([0, 3], last=True)

    assert list(AccessRecord.objects.filter(video__isnull=False).values_list("verb", flat=True)) == [
        "video played",
        "seconds watched",
    ]


def test_a_viewing_of_which_nothing_was_shown_leaves_no_seconds(staff_client, video, tell):
    staff_client.get(f"/videos/{video.pk}/play")
    tell(last=True)
    silence()

    assert seconds() == []


@pytest.mark.parametrize(
    "played",
    ["", "no JSON", "7", "null", "[1]", "[[1]]", '[["a", 2]]', "[[NaN, 2]]", "[[0, Infinity]]",
     "[[0, 1e999]]", json.dumps([[0, 1]] * 501), "[" * 5000],
)  # fmt: skip
def test_nonsense_is_refused(staff_client, video, played):
    answer = staff_client.post(f"/videos/{video.pk}/watched", {"played": played})

    assert answer.status_code == 400
    assert not Viewing.objects.exists()


def test_the_records_stay_whole(tell):
    tell([0, 8], last=True)

    assert list(audit.problems()) == []


def test_seconds_cannot_be_changed_unseen(tell):
    tell([0, 8], last=True)
    drop_triggers()
    AccessRecord.objects.filter(verb=Verb.SECONDS_WATCHED).update(seconds=None)

    assert any("was changed" in problem for problem in audit.problems())


# Where it is shown


def test_the_page_and_the_export_say_it(staff_client, bob, encounter, tell):
    bobs = signed_in(bob)
    tell([0, 40], last=True, client=bobs)
    tell([0, 61], last=True, client=bobs)

    answer = staff_client.get(f"/encounters/{encounter.reference}/access/")
    export = staff_client.get(f"/encounters/{encounter.reference}/access.csv").content.decode()

    (seen,) = answer.context["seen_by"]
    assert (seen["user__name"], seen["plays"], seen["watched"]) == ("Bob", 1, 61)
    assert "1:01" in answer.content.decode()
    rows = [row for row in csv.DictReader(io.StringIO(export)) if row["act"] == "seconds watched"]
    assert [(row["who"], row["seconds"]) for row in rows] == [("Bob", "40"), ("Bob", "21")]


def test_the_chain_of_custody_says_it(staff_client, video, tell):
    tell([0, 40], last=True)

    access = staff_client.get(f"/videos/{video.pk}/custody.json").json()["access"]

    assert [entry["seconds"] for entry in access if entry["act"] == "seconds watched"] == [40]


# Who may


def test_only_who_may_watch_can_tell(charlies_client, admin_client, consenting_client, tell):
    assert tell([0, 1], client=charlies_client).status_code == 404
    assert tell([0, 1], client=admin_client).status_code == 403
    assert tell([0, 1], client=consenting_client).status_code == 302
    assert tell([0, 1], client=Client()).status_code == 302
    assert not Viewing.objects.exists()


def test_another_site_cannot_make_a_browser_tell(alice, video):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    assert strict.post(f"/videos/{video.pk}/watched", {"played": "[[0, 1]]"}).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_two_players_of_one_person_at_once_are_one_viewing(alice, video):
    def play():
        return signed_in(alice).get(f"/videos/{video.pk}/play").status_code

    def report():
        data = {"played": "[[0, 9]]", "last": "1"}
        return signed_in(alice).post(f"/videos/{video.pk}/watched", data).status_code

    assert at_once(play, report, play, report) == [302, 204, 302, 204]
    assert AccessRecord.objects.filter(verb=Verb.VIDEO_PLAYED).count() == 1
    assert seconds() == [9]
