"""Two devices with one video: one of them sends."""

from datetime import timedelta

import pytest
from django.utils import timezone

from encounters.models import Video
from tests.conftest import at_once
from tests.encounters.support import CONTENT, announce, begin, checksum, complete, post

ONE, TWO = "1" * 32, "2" * 32
pytestmark = pytest.mark.usefixtures("store")


def sign_as(client, upload, sender):
    wanted = [{"number": 1, "sha256": checksum(CONTENT)}]
    return post(client, f"/uploads/{upload}/parts/", {"parts": wanted, "sender": sender})


@pytest.fixture
def upload(consenting_client):
    """Announced by device one."""
    return announce(consenting_client, sender=ONE).json()["id"]


def test_the_second_device_is_told_that_another_one_sends(consenting_client, upload):
    answer = announce(consenting_client, sender=TWO)

    assert (answer.status_code, answer.json()["id"], answer.json()["busy"]) == (201, upload, True)


def test_the_same_device_is_never_in_its_own_way(consenting_client, upload):
    assert not announce(consenting_client, sender=ONE).json()["busy"]
    assert sign_as(consenting_client, upload, ONE).status_code == 200


def test_the_second_device_gets_no_permission(consenting_client, upload):
    answer = sign_as(consenting_client, upload, TWO)

    assert (answer.status_code, answer.json()["code"]) == (409, "sent_elsewhere")


def test_it_takes_over_if_the_person_says_so(consenting_client, upload):
    answer = announce(consenting_client, sender=TWO, take_over=True)

    assert not answer.json()["busy"]
    assert sign_as(consenting_client, upload, TWO).status_code == 200
    assert sign_as(consenting_client, upload, ONE).status_code == 409


def test_it_takes_over_by_itself_once_the_first_has_fallen_silent(consenting_client, upload):
    Video.objects.update(active_at=timezone.now() - timedelta(minutes=4))

    assert not announce(consenting_client, sender=TWO).json()["busy"]
    assert sign_as(consenting_client, upload, ONE).status_code == 409


def test_each_signed_part_keeps_the_turn(consenting_client, upload):
    Video.objects.update(active_at=timezone.now() - timedelta(minutes=2))
    sign_as(consenting_client, upload, ONE)

    assert Video.objects.get().active_at > timezone.now() - timedelta(minutes=1)


def test_waiting_does_not_keep_the_other_s_turn_alive(consenting_client, upload):
    before = Video.objects.get().active_at
    announce(consenting_client, sender=TWO)

    assert Video.objects.get().active_at == before


def test_whoever_has_sent_it_all_may_complete(consenting_client):
    upload = begin(consenting_client)
    announce(consenting_client, sender=TWO)

    assert complete(consenting_client, upload).status_code == 200
    assert not announce(consenting_client, sender=ONE).json()["busy"]


@pytest.mark.parametrize("sender", ["x", "A" * 32, "1" * 33, 7, ["1"]], ids=repr)
def test_a_sender_that_makes_no_sense_is_refused(consenting_client, sender):
    answer = announce(consenting_client, sender=sender)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.django_db(transaction=True)
def test_of_two_devices_at_once_one_sends(consenting_client, store):
    upload = announce(consenting_client).json()["id"]

    calls = [lambda sender=sender: sign_as(consenting_client, upload, sender) for sender in (ONE, TWO)]
    answers = at_once(*calls)

    assert sorted(answer.status_code for answer in answers) == [200, 409]
