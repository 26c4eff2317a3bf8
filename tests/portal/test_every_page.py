"""What holds for every address of the project."""

import pytest
from django.test import Client

HTMX = {"HX-Request": "true"}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/accounts/user/", "/admin/login/", "/admin/jsi18n/", "/admin/nonsense/"]
)
def test_the_admin_site_is_behind_the_sign_in_too(path):
    answer = Client().get(path, follow=True)

    assert answer.redirect_chain
    assert answer.redirect_chain[-1][0].startswith("/accounts/login/")


def test_an_address_that_is_none_is_not_found():
    answer = Client().get("/nonsense/")

    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()


@pytest.mark.parametrize("path", ["/", "/conversions/", "/encounters/0123456789abcdef/"])
def test_asked_by_htmx_the_whole_page_goes_to_sign_in(path):
    answer = Client().get(path, headers={**HTMX, "HX-Current-URL": f"http://testserver{path}"})

    assert answer.headers["HX-Redirect"] == f"/accounts/login/?next={path}"


def test_htmx_cannot_be_made_to_lead_to_another_site():
    answer = Client().get("/", headers={**HTMX, "HX-Current-URL": "https://elsewhere.example/page"})

    assert answer.headers["HX-Redirect"].startswith("/accounts/login/?next=/")
    assert "elsewhere" not in answer.headers["HX-Redirect"]


# Errors


def test_an_error_is_a_page_for_people_and_json_for_the_uploader(staff_client, encounter, link):
    page = Client().get("/send/")
    answer = Client().post("/uploads/", {"filename": "x.mov", "size": 1, "type": "", "fingerprint": "a" * 64},
                           content_type="application/json")  # fmt: skip

    assert page.status_code == answer.status_code == 403
    assert "<h1>That did not work</h1>" in page.content.decode()
    assert answer.json()["code"] == "link_needed"
    assert answer.json()["message"] in page.content.decode()


def test_a_bug_is_said_without_details(staff_client, encounter, monkeypatch):
    def break_down(*args):
        raise ZeroDivisionError

    staff_client.raise_request_exception = False
    monkeypatch.setattr("encounters.views.staff.render", break_down)

    answer = staff_client.get("/")

    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()
    assert "ZeroDivisionError" not in answer.content.decode()
