"""Setting up a second factor and signing in with it, as staff do in a browser."""

import json
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo, sign_in

pytestmark = pytest.mark.browser
PERIOD = 30
NEW_USER = """
from portal.accounts.models import Team, User
from portal.accounts.invitations import trust_address
user = User.objects.create_user({email!r}, {password!r}, name="Sam Oduya")
user.teams.set(Team.objects.all())
trust_address(user)
"""


@pytest.fixture
def newcomer(demo, request) -> str:
    """The name in `demo.access` of a clinician without a second factor."""
    name = request.node.name
    demo.access[name] = {"email": f"{name[:40]}@clinic.example", "password": "a long password to type"}
    demo.manage(NEW_USER.format(**demo.access[name]))
    return name


@pytest.fixture
def named_demo(demo, newcomer) -> Demo:
    """The same demo under a name: browsers make no passkey for an IP address."""
    base_url = demo.base_url.replace("127.0.0.1", "localhost")
    return Demo(demo.environment, {**demo.access, "base_url": base_url}, demo.process)


def code_for(secret: str) -> str:
    while time.time() % PERIOD > PERIOD * 2 / 3:  # so that it still holds when it has been typed
        time.sleep(0.5)
    return format_hotp_value(hotp_value(secret, int(time.time()) // PERIOD))


def confirm_password(page: Page, demo: Demo, who: str) -> None:
    page.get_by_label("Password").fill(demo.access[who]["password"])
    page.get_by_role("button", name="Confirm").click()


def set_up(page: Page, demo: Demo, who: str, way: str) -> None:
    sign_in(page, demo, who)
    page.get_by_role("link", name="Your account").click()
    page.get_by_role("link", name="Set up").click()
    page.get_by_role("link", name=way).click()
    confirm_password(page, demo, who)


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out", exact=True).click()


def test_an_app_is_set_up_and_asked_for_at_the_next_sign_in(demo, desk, newcomer):
    set_up(desk, demo, newcomer, "Set up an app")
    secret = desk.get_by_label("Or type this into the app").input_value()
    expect(desk.get_by_role("img", name="QR code")).to_be_visible()
    code = code_for(secret)
    used = int(time.time()) // PERIOD
    desk.get_by_label("Six digits from the app").fill(code)
    desk.get_by_role("button", name="Set up").click()
    expect(desk.get_by_label("Unused codes")).to_be_visible()
    recovery = desk.get_by_label("Unused codes").input_value().split()
    assert len(recovery) == 10
    sign_out(desk)

    desk.get_by_label("E-mail address").fill(demo.access[newcomer]["email"])
    desk.get_by_label("Password", exact=True).fill(demo.access[newcomer]["password"])
    desk.get_by_role("button", name="Sign in").click()
    while int(time.time()) // PERIOD == used:  # a code is good for one sign-in
        time.sleep(0.5)
    desk.get_by_label("Six digits from your app").fill(code_for(secret))
    desk.get_by_role("button", name="Sign in").click()

    expect(desk.get_by_role("heading", name="Encounters")).to_be_visible()


def test_a_passkey_is_set_up_and_signs_in_alone(named_demo, desk, newcomer):
    devtools = desk.context.new_cdp_session(desk)
    devtools.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    key = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    set_up(desk, named_demo, newcomer, "Set up a passkey")
    desk.get_by_role("button", name="Set up").click()
    expect(desk.get_by_label("Unused codes")).to_be_visible()
    made = devtools.send("WebAuthn.getCredentials", {"authenticatorId": key["authenticatorId"]})
    assert [credential["rpId"] for credential in made["credentials"]] == ["localhost"]
    sign_out(desk)

    desk.get_by_role("button", name="Use a passkey").click()

    expect(desk.get_by_role("heading", name="Encounters")).to_be_visible()
    assert json.loads(named_demo.manage(SIGN_INS.format(name=newcomer))) == 2


SIGN_INS = """
from encounters.models import AccessRecord
print(AccessRecord.objects.filter(verb="signed in", user__email__startswith={name!r}[:40]).count())
"""


def test_a_passkey_that_fails_is_explained(demo, phone):
    """At an IP address, as the demo prints it, no browser uses one."""
    phone.goto(demo.base_url)

    phone.get_by_role("button", name="Use a passkey").click()

    expect(phone.get_by_role("alert")).to_contain_text("not at an IP address")
