"""A patient opens the link and gives the date of birth."""

import base64
from datetime import date, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from encounters.callers import Caller
from encounters.invitations import invite
from encounters.models import AccessRecord, Channel, Encounter, Invitation, InvitationState, Verb
from tests.conftest import BIRTH_DATE, at_once, give_birth_date, try_date

WRONG = {"day": 1, "month": 1, "year": 2001}
RIGHT = {"day": BIRTH_DATE.day, "month": BIRTH_DATE.month, "year": BIRTH_DATE.year}
pytestmark = pytest.mark.django_db


def test_the_right_date_lets_in(link):
    client = Client()

    answer = try_date(client, link, RIGHT)

    assert (answer.status_code, answer.url) == (302, "/send/")
    assert client.get("/send/", follow=True).redirect_chain == [("/send/consent/", 302)]
    invitation = Invitation.objects.get()
    record = AccessRecord.objects.get(verb=Verb.LINK_OPENED)
    assert invitation.first_used_at
    assert (record.invitation, record.user, record.address) == (invitation, None, "127.0.0.1")


def test_the_link_opens_again_and_again(link):
    give_birth_date(Client(), link)
    first = Invitation.objects.get().first_used_at
    client = Client()
    give_birth_date(client, link)

    assert client.get("/send/consent/").status_code == 200
    assert Invitation.objects.get().first_used_at == first


def test_the_session_gets_a_new_key(link):
    client = Client()
    client.get("/accounts/login/")
    session = client.session
    session["planted"] = True
    session.save()
    before = session.session_key
    client.cookies["session"] = before

    give_birth_date(client, link)

    assert client.session.session_key != before


def test_before_the_date_nothing_is_told_about_anybody(link):
    page = Client().get(link, follow=True).content.decode()

    for private in (
        "Rosalind",
        "Quillfeather",
        "1958",
        "R-17",
        "gait",
        "Neurology",
        "Alice",
        "Dr ",
    ):  # "Dr" may be in a CSRF token
        assert private not in page


def test_the_page_of_a_wrong_date_tells_nothing_either(link):
    answer = try_date(Client(), link, WRONG)

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "That is not the date of birth we have." in page
    for private in ("Rosalind", "Quillfeather", "1958", "R-17", "gait", "Neurology"):
        assert private not in page


# Who may not


def test_a_wrong_date_lets_nobody_in(link):
    client = Client()
    try_date(client, link, WRONG)

    assert client.get("/send/").status_code == 403
    assert AccessRecord.objects.filter(verb=Verb.BIRTH_DATE_WRONG).count() == 1
    assert not AccessRecord.objects.filter(verb=Verb.LINK_OPENED).exists()


def test_after_five_wrong_dates_even_the_right_one_is_refused(link):
    client = Client()
    statuses = [try_date(client, link, WRONG).status_code for _ in range(5)]

    sixth, right = try_date(client, link, WRONG), try_date(client, link, RIGHT)

    assert statuses == [200] * 5
    assert (sixth.status_code, right.status_code) == (429, 429)
    assert "wait 15 minutes" in right.content.decode()
    assert client.get("/send/").status_code == 403
    assert Invitation.objects.get().state == InvitationState.LOCKED
    assert AccessRecord.objects.filter(verb=Verb.BIRTH_DATE_WRONG).count() == 5


def test_another_browser_is_locked_out_too(link):
    for _ in range(5):
        try_date(Client(), link, WRONG)

    assert try_date(Client(), link, RIGHT).status_code == 429


def test_the_lock_lasts_fifteen_minutes(link):
    for _ in range(5):
        try_date(Client(), link, WRONG)
    left = Invitation.objects.get().locked_until - timezone.now()
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)

    Invitation.objects.update(locked_until=timezone.now() - timedelta(seconds=1))
    statuses = [try_date(Client(), link, WRONG).status_code for _ in range(4)]

    assert statuses == [200] * 4
    assert try_date(Client(), link, RIGHT).status_code == 302


def test_the_right_date_wipes_the_slate(link):
    for _ in range(4):
        try_date(Client(), link, WRONG)
    give_birth_date(Client(), link)
    for _ in range(4):
        assert try_date(Client(), link, WRONG).status_code == 200

    assert try_date(Client(), link, RIGHT).status_code == 302


def test_a_crash_between_counting_a_try_and_judging_it_does_not_lock_for_ever(link):
    Invitation.objects.update(failed_attempts=5)  # the fifth try was counted, and then nothing more

    try_date(Client(), link, RIGHT)
    Invitation.objects.filter(locked_until__isnull=False).update(locked_until=timezone.now())

    assert try_date(Client(), link, RIGHT).status_code == 302


def test_one_link_s_lock_leaves_another_link_alone(link, other_patient_client):
    for _ in range(5):
        try_date(Client(), link, WRONG)

    assert other_patient_client.get("/send/videos/").status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"revoked_at": timezone.now()},
        {"created_at": timezone.now() - timedelta(days=15), "expires_at": timezone.now()},
    ],
    ids=["withdrawn", "expired"],
)
def test_a_link_that_ended_is_refused_whatever_the_date(link, changes):
    Invitation.objects.update(**changes)

    for answer in (Client().get(link), try_date(Client(), link, RIGHT)):
        assert answer.status_code == 403
        assert "open the link from your clinic again" in answer.content.decode()
        assert "Neurology" not in answer.content.decode()


@pytest.mark.parametrize("end", ["closed_at", "erased_at"])
def test_a_closed_or_erased_encounter_s_link_is_refused(link, end):
    Encounter.objects.update(**{end: timezone.now()})

    assert try_date(Client(), link, RIGHT).status_code == 403


@pytest.mark.parametrize("path", ["/u/unknown/", "/u/%00/", "/u/%F0%9F%92%A9/", "/u/..%2F..%2F/"])
def test_an_unknown_token_is_refused_like_any_that_ended(link, path):
    assert Client().get(path).status_code in {403, 404}


def test_an_expired_session_asks_for_the_link_again(consenting_client, encounter):
    session = consenting_client.session
    session["invitation"] = {**session["invitation"], "until": 0}
    session.save()

    assert consenting_client.get("/send/videos/").status_code == 403


@pytest.mark.parametrize(
    "path", ["/send/", "/send/consent/", "/send/description/", "/send/videos/", "/send/receipt/"]
)
def test_without_the_link_no_step_opens(path, staff_client):
    assert Client().get(path).status_code == 403
    assert staff_client.get(path).status_code == 403


# The address


def test_the_link_leads_to_an_address_without_its_token(link):
    client = Client()

    answer = client.get(link)

    assert (answer.status_code, answer.url) == (302, "/send/birth-date/")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]
    assert link[3:-1] not in client.get("/send/birth-date/").content.decode()


def test_the_page_for_the_date_needs_the_link_first(link):
    assert Client().get("/send/birth-date/").status_code == 403
    assert Client().post("/send/birth-date/", RIGHT).status_code == 403


def test_a_link_that_ends_while_the_page_is_open_is_refused(link):
    client = Client()
    client.get(link)
    Invitation.objects.update(revoked_at=timezone.now())

    assert client.post("/send/birth-date/", RIGHT).status_code == 403
    assert not AccessRecord.objects.filter(verb=Verb.LINK_OPENED).exists()


def test_a_token_has_192_random_bits(link):
    token = link[3:-1]

    assert len(token) == 32
    assert len(base64.urlsafe_b64decode(token)) * 8 == 192


# Locks


def lock(link, client=None):
    for _ in range(5):
        try_date(client or Client(), link, WRONG)


def lock_ends():
    Invitation.objects.update(locked_until=timezone.now() - timedelta(seconds=1))


def test_each_lock_is_twice_as_long_up_to_a_day(link):
    minutes = []
    for _ in range(9):
        lock(link)
        left = Invitation.objects.get().locked_until - timezone.now()
        minutes.append(round(left.total_seconds() / 60))
        lock_ends()

    assert minutes == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]


def test_the_right_date_does_not_make_the_next_lock_short_again(link):
    lock(link)
    lock_ends()
    give_birth_date(Client(), link)
    lock(link)

    assert Invitation.objects.get().locked_until - timezone.now() > timedelta(minutes=29)


def test_who_gave_the_right_date_before_is_not_locked_out_by_strangers(link):
    patient = Client()
    give_birth_date(patient, link)
    lock(link)

    assert try_date(Client(), link, RIGHT).status_code == 429
    assert try_date(patient, link, RIGHT).status_code == 302


def test_nor_may_that_browser_guess_for_ever(link):
    patient = Client()
    give_birth_date(patient, link)
    lock(link, patient)

    assert try_date(patient, link, RIGHT).status_code == 429
    assert try_date(Client(), link, RIGHT).status_code == 302


@pytest.mark.parametrize("forged", ["", "nonsense", "[1]", "WzFd:1:x"])
def test_a_browser_cannot_make_itself_known(link, forged):
    lock(link)
    client = Client()
    client.cookies["known"] = forged

    assert try_date(client, link, RIGHT).status_code == 429


def test_to_be_known_for_one_link_is_no_help_with_another(link, other_patient_client):
    lock(link)

    assert try_date(other_patient_client, link, RIGHT).status_code == 429


def test_a_new_link_is_not_locked(link, alice, encounter):
    lock(link)
    address = invite(caller=Caller(user=alice), encounter=encounter, channel=Channel.SCREEN)

    assert try_date(Client(), address.removeprefix("http://testserver"), RIGHT).status_code == 302


def test_the_clinician_sees_the_lock_and_what_helps(link, staff_client, encounter):
    lock(link)

    page = staff_client.get(f"/encounters/{encounter.reference}/").content.decode()

    assert "locked after wrong dates of birth until" in page
    assert "a new link is not" in page


# Bad input


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"day": 31, "month": 2, "year": 1958},
        {"day": 0, "month": 3, "year": 1958},
        {"day": 27, "month": 13, "year": 1958},
        {"day": 27, "month": 3, "year": 0},
        {"day": 27, "month": 3, "year": 10000},
        {"day": "x", "month": 3, "year": 1958},
        {"day": 27, "month": 3, "year": ""},
        {"day": "9" * 5000, "month": 3, "year": 1958},
    ],
    ids=str,
)
def test_what_is_no_date_is_no_try(link, given):
    for _ in range(6):
        answer = try_date(Client(), link, {"csrfmiddlewaretoken": "x", **given})
        assert answer.status_code == 200
        assert "Please write a day, a month and a year" in answer.content.decode()

    assert Invitation.objects.get().failed_attempts == 0


def test_the_csrf_token_is_needed(link):
    assert try_date(Client(enforce_csrf_checks=True), link, RIGHT).status_code == 403
    assert not AccessRecord.objects.filter(verb=Verb.LINK_OPENED).exists()


def test_a_link_is_read_or_answered_and_nothing_else(link):
    for method in ("post", "put", "delete"):
        assert getattr(Client(), method)(link).status_code == 405


def test_no_log_holds_the_token(link, log_lines):
    try_date(Client(), link, WRONG)
    give_birth_date(Client(), link)
    Invitation.objects.update(revoked_at=timezone.now())
    Client().get(link)
    try_date(Client(enforce_csrf_checks=True), link, RIGHT)
    Client().put(link)

    assert "/u/\\u2026/" in log_lines()
    assert link[3:-1] not in log_lines()
    assert "Quillfeather" not in log_lines()


# Races


@pytest.mark.django_db(transaction=True)
def test_many_guesses_at_once_get_no_more_tries_than_one_by_one(link):
    def guess(year):
        return try_date(Client(), link, {"day": 27, "month": 3, "year": year}).status_code

    statuses = at_once(*[lambda year=year: guess(year) for year in range(1990, 2002)])

    assert statuses.count(200) == 5
    assert statuses.count(429) == 7
    assert try_date(Client(), link, RIGHT).status_code == 429


def test_dates_are_compared_as_dates(link, patient):
    assert patient.birth_date == date(1958, 3, 27)
    assert try_date(Client(), link, {"day": "027", "month": "03", "year": "1958"}).status_code == 302
