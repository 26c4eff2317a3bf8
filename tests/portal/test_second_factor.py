"""The second factor, demanded as in production."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from cryptography.fernet import InvalidToken
from django.core.cache import cache
from django.test import Client

from encounters.models import AccessRecord, Verb
from portal.accounts.adapter import FactorAdapter
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db(transaction=True)  # allauth tells of a new factor when it is committed
RIGHT = {"login": "alice@clinic.example", "password": "a long password"}
ACTIVATE = "/accounts/2fa/totp/activate/"
CHOOSE = "/accounts/2fa/"


@pytest.fixture(autouse=True)
def _demanded(settings):
    settings.MFA_REQUIRED = True
    cache.clear()  # what other tests' wrong passwords count for


def code_for(secret):
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def sign_in(client=None):
    client = client or Client()
    return client, client.post("/accounts/login/", RIGHT)


def reauthenticate(client):
    client.post("/accounts/reauthenticate/", {"password": RIGHT["password"]})


@pytest.fixture
def newcomer(alice):
    """A browser that gave the password of somebody without a second factor."""
    return sign_in()[0]


@pytest.fixture
def secret(newcomer):
    """The secret of the app that the newcomer sets up."""
    reauthenticate(newcomer)
    form = newcomer.get(ACTIVATE).context["form"]
    assert newcomer.post(ACTIVATE, {"code": code_for(form.secret)}).status_code == 302
    return form.secret


def verbs():
    return list(AccessRecord.objects.values_list("verb", flat=True))


def test_a_password_alone_opens_only_the_page_to_set_one_up(newcomer):
    for path in ("/", "/conversions/", "/encounters/new/", "/accounts/", "/accounts/sessions/"):
        answer = newcomer.get(path)
        assert (answer.status_code, answer.url) == (302, CHOOSE)
    assert newcomer.get(CHOOSE).status_code == 200


def test_a_polling_page_is_sent_there_as_a_whole(newcomer):
    assert newcomer.get("/", headers={"HX-Request": "true"}).headers["HX-Redirect"] == CHOOSE


def test_the_upload_api_takes_nothing_from_a_password_alone(newcomer, encounter):
    answer = newcomer.post(
        "/uploads/",
        {"filename": "x.mov", "size": 1, "fingerprint": "a" * 64, "encounter": encounter.reference},
        content_type="application/json",
    )

    assert answer.status_code == 404


def test_setting_up_an_app_lets_in(newcomer, secret):
    assert newcomer.get("/").status_code == 200
    assert Verb.SECOND_FACTOR_ADDED in verbs()


def test_recovery_codes_come_with_it(newcomer, secret):
    page = newcomer.get("/accounts/2fa/recovery-codes/").content.decode()

    codes = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES).wrap().get_unused_codes()
    assert len(codes) == 10
    assert all(code in page for code in codes)


def test_the_next_sign_in_needs_the_code(secret):
    client, answer = sign_in()
    assert answer.url == "/accounts/2fa/authenticate/"
    assert client.get("/").url.startswith("/accounts/login/")

    client.post("/accounts/2fa/authenticate/", {"code": _next_code(secret)})

    assert client.get("/").status_code == 200


def _next_code(secret):
    """A code is used up by setting the app up with it; the one before it is still taken."""
    counters = list(yield_hotp_counters_from_time())
    return format_hotp_value(hotp_value(secret, counters[-1]))


def test_a_wrong_code_does_not_let_in_and_is_recorded(secret):
    client, _ = sign_in()

    client.post("/accounts/2fa/authenticate/", {"code": "000000"})

    assert client.get("/").status_code == 302
    assert verbs()[-1] == Verb.SIGN_IN_FAILED


def test_wrong_codes_are_limited(secret, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "3/5m/key"}
    client, _ = sign_in()
    for _ in range(3):
        client.post("/accounts/2fa/authenticate/", {"code": "000000"})

    answer = client.post("/accounts/2fa/authenticate/", {"code": _next_code(secret)})

    assert "Too many" in answer.content.decode()
    assert client.get("/").status_code == 302


def test_a_recovery_code_lets_in_once(secret):
    code = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES).wrap().get_unused_codes()[0]
    for expected in (200, 302):
        client, _ = sign_in()
        client.post("/accounts/2fa/authenticate/", {"code": code})
        assert client.get("/").status_code == expected


def test_a_session_from_before_can_neither_go_on_nor_set_up_another(secret, alice):
    stale = signed_in(alice)
    reauthenticate(stale)

    for path in ("/", ACTIVATE, "/accounts/2fa/webauthn/add/", CHOOSE):
        answer = stale.get(path)
        assert (answer.status_code, answer.url) == (302, "/accounts/2fa/reauthenticate/")


def test_who_removes_the_last_one_must_set_up_another_at_once(newcomer, secret):
    newcomer.post("/accounts/2fa/totp/deactivate/")

    assert newcomer.get("/").url == CHOOSE
    assert Verb.SECOND_FACTOR_REMOVED in verbs()


def test_the_factor_of_one_person_is_not_that_of_another(newcomer, secret, bob):
    newcomer.post("/accounts/logout/")
    newcomer.post("/accounts/login/", {**RIGHT, "login": "bob@clinic.example"})

    assert newcomer.get("/").url == CHOOSE


def test_the_admin_site_is_behind_it_too(admin):
    client = signed_in(admin)

    assert client.get("/admin/").url == CHOOSE


def test_in_the_demo_it_is_a_choice(newcomer, settings):
    settings.MFA_REQUIRED = False

    assert newcomer.get("/").status_code == 200
    assert newcomer.get(CHOOSE).status_code == 200


# At rest


def test_the_secret_is_not_in_the_database(secret, settings):
    stored = Authenticator.objects.get(type=Authenticator.Type.TOTP).data["secret"]

    assert secret not in stored
    assert FactorAdapter().decrypt(stored) == secret


def test_a_renewed_key_reads_what_the_old_one_encrypted(settings):
    stored = FactorAdapter().encrypt("ABCDEF")
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "k" * 60
    assert FactorAdapter().decrypt(stored) == "ABCDEF"

    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(InvalidToken):
        FactorAdapter().decrypt(stored)
