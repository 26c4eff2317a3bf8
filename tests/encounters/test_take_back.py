"""A patient changes their mind: about one purpose, or about everything."""

import pytest
from django.test import Client

from encounters.models import AccessRecord, Consent, Encounter, Purpose, Verb, Video
from tests.conftest import give_birth_date, tasks_waiting
from tests.encounters.support import announce, make_video
from transcoding.models import Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(patient_client):
    """A patient's browser, past consent to all three."""
    patient_client.post("/send/consent/", {"diagnosis": "on", "record": "on", "research": "on"})
    return patient_client


def standing():
    return set(Consent.objects.standing().values_list("purpose", flat=True))


def test_what_was_agreed_to_is_shown_with_a_way_back(client):
    page = client.get("/send/agreement/").content.decode()

    assert page.count("You agreed to this on") == 3
    assert page.count("Take this back") == 2
    assert 'href="/send/withdraw/"' in page


@pytest.mark.parametrize("path", ["/send/description/", "/send/videos/", "/send/receipt/"])
def test_every_later_page_leads_there(client, path, store):
    assert 'href="/send/agreement/"' in client.get(path).content.decode()


@pytest.mark.parametrize("purpose", ["record", "research"])
def test_one_purpose_can_be_taken_back_and_the_videos_stay(client, staff_client, encounter, purpose):
    video = make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED)

    answer = client.post("/send/agreement/", {"take_back": purpose}, follow=True)

    assert "That is taken back. Your clinic still has your videos." in answer.content.decode()
    assert standing() == {"diagnosis", "record", "research"} - {purpose}
    assert Encounter.objects.get().withdrawn_at is None
    assert Video.objects.get() == video
    record = AccessRecord.objects.get(verb=Verb.CONSENT_WITHDRAWN)
    assert (record.reason, record.invitation is not None) == (purpose, True)
    page = staff_client.get(f"/encounters/{encounter.reference}/").content.decode()
    assert f"{Purpose(purpose).label}: withdrawn" in page
    assert "IMG_0042.MOV" in page


def test_taking_it_back_twice_is_once(client):
    for _ in range(2):
        client.post("/send/agreement/", {"take_back": "research"})

    assert AccessRecord.objects.filter(verb=Verb.CONSENT_WITHDRAWN).count() == 1


def test_it_can_be_given_again_and_both_are_kept(client):
    client.post("/send/agreement/", {"take_back": "research"})
    client.post("/send/agreement/", {"give": "research"})

    assert "research" in standing()
    older, newer = Consent.objects.filter(purpose="research")
    assert older.withdrawn_at
    assert newer.given_at > older.withdrawn_at


def test_what_was_left_out_can_be_given_later_by_whom_it_was_first(patient_client):
    patient_client.post("/send/consent/", {"diagnosis": "on", "relation": "parent", "proxy_name": "Ottilie"})
    assert "You did not agree to this." in patient_client.get("/send/agreement/").content.decode()

    patient_client.post("/send/agreement/", {"give": "record"})

    later = Consent.objects.get(purpose="record")
    assert (later.relation, later.proxy_name) == ("parent", "Ottilie")


@pytest.mark.parametrize(
    "given", [{"take_back": "diagnosis"}, {"take_back": "x"}, {"give": "x"}, {}, {"give": "diagnosis"}]
)
def test_nothing_else_is_changed_there(client, given):
    client.post("/send/agreement/", {"wording": "", **given})
    client.post("/send/agreement/", given)

    assert standing() == {"diagnosis", "record", "research"}


def test_before_consent_there_is_nothing_to_take_back(patient_client):
    for path in ("/send/agreement/", "/send/withdraw/"):
        assert patient_client.get(path).url == "/send/consent/"
        assert patient_client.post(path).url == "/send/consent/"
    assert Encounter.objects.get().withdrawn_at is None


# Everything


def test_it_says_what_happens_before_it_does(client):
    page = client.get("/send/withdraw/").content.decode()

    assert "From this moment nobody can watch your videos any more." in page
    assert "This cannot be undone." in page
    assert Encounter.objects.get().withdrawn_at is None


def test_taking_everything_back_closes_at_once_and_erases(client, staff_client, encounter, store):
    video = make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED)

    answer = client.post("/send/withdraw/", follow=True)

    assert answer.redirect_chain[-1][0] == "/send/withdrawn/"
    assert answer.status_code == 200
    assert "You took everything back" in answer.content.decode()
    assert Encounter.objects.get().withdrawn_at
    assert standing() == set()
    assert tasks_waiting("encounters.erasure.erase")
    assert staff_client.get(f"/videos/{video.pk}/play").status_code == 404
    record = AccessRecord.objects.get(verb=Verb.CONSENT_WITHDRAWN)
    assert record.invitation


@pytest.mark.parametrize(
    "path",
    ["/send/", "/send/videos/", "/send/receipt/", "/send/consent/", "/send/agreement/", "/send/withdraw/"],
)
def test_afterwards_every_page_says_so_kindly_and_takes_nothing(client, path, store):
    client.post("/send/withdraw/")

    for answer in (client.get(path), client.post(path)):
        if answer.status_code != 405:
            assert answer.status_code == 403
            assert "You took everything back" in answer.content.decode()
    refused = announce(client)
    assert (refused.status_code, refused.json()["code"]) == (403, "withdrawn")


def test_afterwards_the_link_is_closed_and_tells_a_stranger_nothing(client, link, store):
    opened = Client()
    opened.get(link)
    client.post("/send/withdraw/")

    for answer in (Client().get(link), opened.get("/send/birth-date/"), opened.post("/send/birth-date/")):
        page = answer.content.decode()
        assert answer.status_code == 403
        assert "This link is closed" in page
        assert "took" not in page
        assert "withdr" not in page
    give_birth_date(Client(), link)
    assert not AccessRecord.objects.filter(verb=Verb.BIRTH_DATE_WRONG).exists()


def test_the_last_page_is_for_who_took_it_back_alone(client, store, other_patient_client):
    assert client.get("/send/withdrawn/").url == "/send/"

    client.post("/send/withdraw/")

    assert client.get("/send/withdrawn/").status_code == 200
    assert other_patient_client.get("/send/withdrawn/").url == "/send/"
    assert Client().get("/send/withdrawn/").url == "/send/"
    assert other_patient_client.get("/send/agreement/").status_code == 200


def test_the_csrf_token_is_needed(client, encounter):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies

    assert strict.post("/send/withdraw/").status_code == 403
    assert strict.post("/send/agreement/", {"take_back": "research"}).status_code == 403
    assert len(standing()) == 3
