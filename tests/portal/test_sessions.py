"""Sessions of staff end: by themselves, and wherever their owner says so."""

from types import SimpleNamespace

import pytest
from django.test import Client

from encounters.models import AccessRecord, Verb
from portal.accounts import middleware

pytestmark = pytest.mark.django_db
RIGHT = {"login": "alice@clinic.example", "password": "a long password"}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def clock(monkeypatch):
    """`clock.now += seconds`"""
    clock = SimpleNamespace(now=1_800_000_000.0)
    monkeypatch.setattr(middleware, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


@pytest.fixture
def browser(alice, clock):
    return _browser()


def _browser():
    client = Client()
    client.post("/accounts/login/", RIGHT)
    assert client.get("/").status_code == 200
    return client


def test_who_does_nothing_for_half_an_hour_is_signed_out(browser, clock):
    clock.now += 30 * 60 + 1

    assert browser.get("/").url == "/accounts/login/?next=/"
    assert AccessRecord.objects.filter(verb=Verb.SIGNED_OUT).count() == 1


def test_who_works_stays(browser, clock):
    for _ in range(20):
        clock.now += 29 * 60
        assert browser.get("/").status_code == 200


def test_a_page_that_polls_is_not_somebody_who_works(browser, clock):
    for _ in range(3):
        clock.now += 11 * 60
        answer = browser.get("/", headers=HTMX)

    assert answer.headers["HX-Redirect"].startswith("/accounts/login/")


def test_no_session_lasts_longer_than_a_shift(browser, clock):
    for _ in range(12 * 3):
        clock.now += 20 * 60
        browser.get("/")
    clock.now += 60

    assert browser.get("/").status_code == 302


def test_signing_out_everywhere_ends_each_session(browser, alice):
    other = _browser()

    answer = browser.post("/accounts/sessions/end/")

    assert answer.url == "/accounts/login/"
    assert browser.get("/").status_code == other.get("/").status_code == 302
    assert AccessRecord.objects.get(verb=Verb.SESSIONS_ENDED).user == alice


def test_the_others_can_be_signed_out_alone(browser):
    other = _browser()
    assert "Sign out the others" in browser.get("/accounts/sessions/").content.decode()

    browser.post("/accounts/sessions/")

    assert browser.get("/").status_code == 200
    assert other.get("/").status_code == 302


def test_nobody_ends_another_s_sessions(browser, bobs_client):
    bobs_client.post("/accounts/sessions/end/")

    assert browser.get("/").status_code == 200


def test_a_new_password_ends_the_sessions_of_the_old_one(browser):
    other = _browser()
    new = "a longer password than before"

    browser.post(
        "/accounts/password/change/",
        {"oldpassword": RIGHT["password"], "password1": new, "password2": new},
    )

    assert browser.get("/").status_code == 200
    assert other.get("/").status_code == 302
    assert AccessRecord.objects.filter(verb=Verb.PASSWORD_CHANGED).count() == 1


def test_who_may_no_longer_sign_in_is_out_at_once(browser, alice):
    alice.is_active = False
    alice.save()

    assert browser.get("/").status_code == 302


def test_the_account_page_says_who_one_is(browser):
    page = browser.get("/accounts/").content.decode()

    assert "alice@clinic.example" in page
    assert "Neurology" in page
