"""Users and teams, and who may manage them."""

import pytest
from django.db import IntegrityError, transaction

from portal import settings as production
from portal.accounts.models import Role, User

pytestmark = pytest.mark.django_db


def test_an_address_is_kept_in_small_letters():
    assert User.objects.create_user("Dr.Who@Clinic.EXAMPLE", name="x").email == "dr.who@clinic.example"


def test_a_superuser_is_an_admin():
    user = User.objects.create_superuser("root@clinic.example", "a long password", name="Root")

    assert (user.role, user.is_admin, user.is_staff, user.is_superuser) == (Role.ADMIN, True, True, True)


def test_the_database_refuses_the_same_address_in_another_case(alice):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="ALICE@clinic.example", name="x")


def test_the_database_refuses_an_unknown_role():
    with pytest.raises(IntegrityError, match="user_role_known"), transaction.atomic():
        User.objects.create(email="x@clinic.example", role="janitor")


def test_passwords_are_stored_by_argon2(settings):
    settings.PASSWORD_HASHERS = production.PASSWORD_HASHERS

    assert User.objects.create_user("x@clinic.example", "a long password").password.startswith("argon2$")


def test_an_admin_who_manages_users_sees_them_and_no_patients(admin, alice, admin_client):
    User.objects.filter(pk=admin.pk).update(is_staff=True, is_superuser=True)

    assert admin_client.get("/admin/accounts/user/").status_code == 200
    assert admin_client.get(f"/admin/accounts/user/{alice.pk}/change/").status_code == 200
    assert admin_client.get("/admin/encounters/patient/").status_code == 404
    assert "encounters" not in admin_client.get("/admin/").content.decode().lower()


def test_a_clinician_manages_nobody(staff_client):
    answer = staff_client.get("/admin/accounts/user/")

    assert answer.status_code in {302, 403}
