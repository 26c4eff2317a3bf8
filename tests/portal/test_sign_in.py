"""Staff sign in by e-mail and password; nobody registers themselves."""

import pytest
from django.test import Client

from portal.accounts.models import User

SIGN_IN = "/accounts/login/"
RIGHT = {"login": "alice@clinic.example", "password": "a long password"}
pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("alice")
def test_the_right_password_lets_in():
    client = Client()

    answer = client.post(SIGN_IN, RIGHT)

    assert (answer.status_code, answer.url) == (302, "/")
    assert client.get("/").status_code == 200


@pytest.mark.usefixtures("alice")
def test_the_case_of_an_address_does_not_matter():
    assert Client().post(SIGN_IN, {**RIGHT, "login": "Alice@Clinic.Example"}).status_code == 302


@pytest.mark.usefixtures("alice")
def test_after_signing_in_one_is_where_one_wanted_to_be():
    answer = Client().post(f"{SIGN_IN}?next=/encounters/new/", {**RIGHT, "next": "/encounters/new/"})

    assert answer.url == "/encounters/new/"


@pytest.mark.usefixtures("alice")
def test_nobody_is_led_to_another_site():
    answer = Client().post(SIGN_IN, {**RIGHT, "next": "https://elsewhere.example/"})

    assert answer.url == "/"


@pytest.mark.usefixtures("alice")
def test_the_session_ends_with_the_browser_and_is_closed_to_scripts():
    client = Client()
    client.post(SIGN_IN, RIGHT)

    cookie = client.cookies["session"]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", "")


def test_signing_out_needs_a_post(staff_client):
    staff_client.get("/accounts/logout/")
    assert staff_client.get("/").status_code == 200

    staff_client.post("/accounts/logout/")
    assert staff_client.get("/").status_code == 302


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(
    "given",
    [
        {**RIGHT, "password": "a wrong password"},
        {**RIGHT, "login": "nobody@clinic.example"},
        {**RIGHT, "password": ""},
        {**RIGHT, "login": "' OR 1=1 --"},
    ],
    ids=["wrong password", "nobody's address", "no password", "no address"],
)
def test_anything_else_does_not(given):
    client = Client()

    assert client.post(SIGN_IN, given).status_code == 200
    assert client.get("/").status_code == 302


@pytest.mark.usefixtures("alice")
def test_a_wrong_password_and_an_unknown_address_sound_the_same():
    wrong = Client().post(SIGN_IN, {**RIGHT, "password": "a wrong password"}).context["form"]
    unknown = Client().post(SIGN_IN, {**RIGHT, "login": "nobody@clinic.example"}).context["form"]

    assert wrong.non_field_errors() == unknown.non_field_errors()


def test_who_left_the_clinic_cannot_sign_in(alice):
    alice.is_active = False
    alice.save()
    client = Client()

    client.post(SIGN_IN, RIGHT)

    assert client.get("/").status_code == 302


@pytest.mark.usefixtures("alice")
def test_the_csrf_token_is_needed():
    assert Client(enforce_csrf_checks=True).post(SIGN_IN, RIGHT).status_code == 403


def test_many_wrong_passwords_are_slowed_down(alice, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "3/5m/key"}
    client = Client()
    for _ in range(3):
        client.post(SIGN_IN, {**RIGHT, "password": "a wrong password"})

    assert client.post(SIGN_IN, RIGHT).status_code in {200, 429}
    assert client.get("/").status_code == 302


def test_nobody_registers_themselves(db):
    answer = Client().post(
        "/accounts/signup/",
        {
            "email": "mallory@elsewhere.example",
            "password1": "a long password",
            "password2": "a long password",
        },
    )

    assert answer.status_code in {200, 302, 403, 404}
    assert not User.objects.exists()


def test_the_sign_in_page_offers_no_registration(db):
    assert "signup" not in Client().get(SIGN_IN).content.decode()


def test_an_admin_is_sent_to_the_conversions(admin):
    answer = Client().post(SIGN_IN, {**RIGHT, "login": "admin@clinic.example"}, follow=True)

    assert answer.redirect_chain[-1] == ("/conversions/", 302)
