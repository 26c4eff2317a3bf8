"""What holds for every address of the project."""

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from django.urls.exceptions import NoReverseMatch

SAMPLES = {
    "reference": "0123456789abcdef",
    "pk": "6f1c1e0a-8d0b-4a5e-9a3f-0d6a2f6d8c11",
    "token": "unknown",
}
OPEN = {
    "healthz": 200,
    "readyz": 200,
    "account_login": 200,
    "account_reset_password": 200,
    "account_reset_password_done": 200,
    "patient_link": 403,
    "patient_next": 403,
    "patient_consent": 403,
    "patient_description": 403,
    "patient_videos": 403,
    "patient_submit": 405,
    "patient_receipt": 403,
    "upload_new": 405,
    "upload": 403,
    "upload_parts": 405,
    "upload_complete": 405,
    "store_event": 405,
    "transcoding_callback": 405,
}
HTMX = {"HX-Request": "true"}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]


def our_names():
    """The names of the addresses that are ours, and of those of allauth."""

    def walk(patterns):
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                yield pattern.name
            elif getattr(pattern, "namespace", None) is None:
                yield from walk(pattern.url_patterns)

    return sorted(name for name in walk(get_resolver().url_patterns) if name)


def address_of(name):
    keys = get_resolver().reverse_dict.getlist(name)[0][0][0][1]
    samples = {key: SAMPLES.get(key, "1") for key in keys}
    if name == "invitation_revoke":
        samples["pk"] = 1
    try:
        return reverse(name, kwargs=samples)
    except NoReverseMatch:
        return reverse(name, kwargs={**samples, "uidb36": "1", "key": "abc"})


@pytest.mark.parametrize("name", [name for name in our_names() if not name.startswith("account_")])
def test_who_has_not_signed_in_gets_no_further(name):
    answer = Client().get(address_of(name))

    if name in OPEN:
        assert answer.status_code == OPEN[name]
    else:
        assert answer.status_code == 302
        assert answer.url.startswith("/accounts/login/?next=/")


@pytest.mark.parametrize("name", [name for name in our_names() if name.startswith("account_")])
def test_allauth_s_pages_show_nothing_of_ours_to_a_stranger(name):
    answer = Client().get(address_of(name))

    assert answer.status_code in {200, 302, 404}
    assert "Sign out" not in answer.content.decode()


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
