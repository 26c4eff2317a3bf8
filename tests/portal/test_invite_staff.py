"""An admin makes an account; its owner chooses the password by e-mail."""

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core import mail
from django.test import Client

from encounters.models import AccessRecord, Verb
from portal.accounts.models import Role, User
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db
NEW = "a password of my own"


@pytest.fixture
def manager(db):
    return signed_in(User.objects.create_superuser("jo@clinic.example", "a long password", name="Jo"))


@pytest.fixture
def invite(manager, team):
    """`invite(role)`: the link that was sent to the one who was invited."""

    def send(role=Role.CLINICIAN):
        answer = manager.post(
            "/admin/accounts/user/add/",
            {"email": "New.Person@clinic.example", "name": "New Person", "role": role, "teams": [team.pk]},
        )
        assert answer.status_code == 302, answer.context["errors"]
        return _link(mail.outbox[-1].body)

    return send


def _link(body):
    return re.search(r"http://testserver(/accounts/password/reset/key/\S+)", body)[1]


def choose_password(link):
    client = Client()
    form = client.get(link, follow=True)
    path = form.redirect_chain[-1][0]
    client.post(path, {"password1": NEW, "password2": NEW})
    return client


def test_the_invited_choose_a_password_and_are_in(invite, team):
    choose_password(invite())
    client = Client()
    client.post("/accounts/login/", {"login": "new.person@clinic.example", "password": NEW})

    user = User.objects.get(name="New Person")
    assert (user.email, user.is_staff, list(user.teams.all())) == (
        "new.person@clinic.example",
        False,
        [team],
    )
    assert client.get("/").status_code == 200


def test_that_proves_the_address(invite):
    link = invite()
    assert not EmailAddress.objects.filter(email="new.person@clinic.example", verified=True).exists()

    choose_password(link)

    assert EmailAddress.objects.get(email="new.person@clinic.example").verified


def test_before_that_no_password_lets_in(invite):
    invite()
    client = Client()

    client.post("/accounts/login/", {"login": "new.person@clinic.example", "password": ""})

    assert client.get("/").status_code == 302
    assert not User.objects.get(name="New Person").has_usable_password()


def test_the_link_works_once(invite):
    link = invite()
    choose_password(link)

    assert "invalid" in Client().get(link, follow=True).content.decode()


def test_the_message_holds_no_password_and_goes_to_one(invite):
    invite()

    (message,) = mail.outbox
    assert message.to == ["new.person@clinic.example"]
    assert "password" in message.body
    assert "New Person" in message.body


def test_it_is_recorded(invite):
    invite()

    record = AccessRecord.objects.get(verb=Verb.STAFF_INVITED)
    assert (record.user.name, record.reason) == ("Jo", f"user {User.objects.latest('pk').pk}: added")


def test_an_admin_may_manage_and_a_clinician_no_more_after(invite, manager):
    invite(Role.ADMIN)
    user = User.objects.get(name="New Person")
    assert (user.is_staff, user.is_superuser) == (True, True)

    change(manager, user, role=Role.CLINICIAN)

    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser, user.role) == (False, False, Role.CLINICIAN)
    assert "Role" in AccessRecord.objects.get(verb=Verb.STAFF_CHANGED).reason


def change(manager, user, **changes):
    fields = {"email": user.email, "name": user.name, "role": user.role, "is_active": "on"}
    answer = manager.post(f"/admin/accounts/user/{user.pk}/change/", {**fields, **changes})
    assert answer.status_code == 302, answer.context["errors"]


def test_a_changed_address_must_be_verified_anew(manager, alice):
    change(manager, alice, email="alice@hospital.example")

    assert not EmailAddress.objects.filter(user=alice).exists()
    client = Client()
    answer = client.post(
        "/accounts/login/", {"login": "alice@hospital.example", "password": "a long password"}
    )
    assert answer.url == "/accounts/confirm-email/"
    assert client.get("/").status_code == 302
    assert mail.outbox[-1].to == ["alice@hospital.example"]


def test_an_invitation_can_be_sent_again(manager, alice):
    act(manager, "invite_again", alice)

    assert [message.to for message in mail.outbox] == [[alice.email]]
    assert AccessRecord.objects.get(verb=Verb.STAFF_INVITED).reason == f"user {alice.pk}: again"


def act(manager, action, user):
    answer = manager.post("/admin/accounts/user/", {"action": action, "_selected_action": [user.pk]})
    assert answer.status_code == 302


def test_an_admin_removes_a_lost_second_step(manager, alice, staff_client):
    Authenticator.objects.create(user=alice, type=Authenticator.Type.TOTP, data={"secret": "x"})

    act(manager, "remove_second_factors", alice)

    assert not Authenticator.objects.exists()
    assert AccessRecord.objects.get(verb=Verb.SECOND_FACTOR_REMOVED).user.name == "Jo"


def test_no_admin_sets_another_s_password_or_deletes_anybody(manager, alice):
    assert manager.get(f"/admin/accounts/user/{alice.pk}/password/").status_code == 404
    assert manager.get(f"/admin/accounts/user/{alice.pk}/delete/").status_code == 403


@pytest.mark.parametrize("model", ["django_q/schedule", "account/emailaddress", "mfa/authenticator"])
def test_the_admin_site_holds_users_and_teams_alone(manager, model):
    assert manager.get(f"/admin/{model}/").status_code == 404


# Forgotten passwords


def test_a_forgotten_password_is_chosen_anew_by_e_mail(alice):
    Client().post("/accounts/password/reset/", {"email": alice.email})

    choose_password(_link(mail.outbox[0].body))

    alice.refresh_from_db()
    assert alice.check_password(NEW)


def test_asking_for_a_stranger_looks_the_same_and_sends_nothing(alice):
    answers = [
        Client().post("/accounts/password/reset/", {"email": email}, follow=True)
        for email in (alice.email, "nobody@clinic.example")
    ]

    assert answers[0].redirect_chain == answers[1].redirect_chain
    assert [message.to for message in mail.outbox] == [[alice.email]]
