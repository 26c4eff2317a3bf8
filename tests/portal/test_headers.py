"""What browsers are told to allow and to keep."""

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]


@pytest.fixture(params=["sign-in", "worklist", "patient's link", "patient's videos", "not found", "healthz"])
def answer(request, staff_client, consenting_client, link):
    opened = Client()
    opened.get(link)
    client, path = {
        "sign-in": (Client(), "/accounts/login/"),
        "worklist": (staff_client, "/"),
        "patient's link": (opened, "/send/birth-date/"),
        "patient's videos": (consenting_client, "/send/videos/"),
        "not found": (staff_client, "/nonsense/"),
        "healthz": (Client(), "/healthz"),
    }[request.param]
    return client.get(path)


def policy(answer):
    directives = answer.headers["Content-Security-Policy"].split(";")
    return {name: sources for name, *sources in (directive.split() for directive in directives)}


def test_scripts_and_styles_come_from_us_alone(answer):
    allowed = policy(answer)

    assert allowed["default-src"] == ["'none'"]
    assert allowed["script-src"] == ["'self'"]
    assert allowed["style-src"] == ["'self'"]
    assert allowed["form-action"] == ["'self'"]
    assert allowed["frame-ancestors"] == allowed["base-uri"] == ["'none'"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "*" not in answer.headers["Content-Security-Policy"]


def test_the_store_may_be_sent_to_and_shown(answer):
    store = f"http://127.0.0.1:{settings.S3_PORT}"

    for directive in ("connect-src", "media-src", "img-src"):
        assert store in policy(answer)[directive]
    assert store not in policy(answer)["script-src"]


def test_nothing_stays_in_a_cache(answer):
    cached = answer.headers["Cache-Control"]

    assert "no-store" in cached
    assert "private" in cached


def test_no_address_leaves_with_a_click(answer):
    assert answer.headers["Referrer-Policy"] in {"same-origin", "no-referrer"}


def test_nobody_frames_us_and_no_type_is_guessed(answer):
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_page_needs_no_camera_of_its_own(answer):
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert "microphone=()" in answer.headers["Permissions-Policy"]
    assert "geolocation=()" in answer.headers["Permissions-Policy"]


def test_no_page_has_anything_inline(answer):
    page = answer.content.decode()

    assert "<style" not in page
    assert " style=" not in page
    assert " onclick=" not in page
    assert "javascript:" not in page
    # A block of data is no script: browsers do not run it, and the policy has nothing to say about it.
    openings = [tag.partition(">")[0] for tag in page.split("<script")[1:]]
    assert all("src=" in opening or 'type="application/json"' in opening for opening in openings)


def test_pages_are_not_for_search_engines(answer):
    if answer.headers["Content-Type"].startswith("text/html"):
        assert '<meta name="robots" content="noindex, nofollow">' in answer.content.decode()


def test_htmx_keeps_no_page_in_the_browser(staff_client):
    page = staff_client.get("/").content.decode()

    assert '"historyCacheSize": 0' in page
    assert '"includeIndicatorStyles": false' in page


def test_no_other_directive_lets_anything_in(answer):
    allowed = policy(answer)

    for directive in ("frame-src", "object-src"):
        assert allowed[directive] == ["'none'"]
    assert allowed["worker-src"] == ["'self'"]
    ours = {"'none'", "'self'", "data:", "blob:", f"http://127.0.0.1:{settings.S3_PORT}"}
    assert {source for sources in allowed.values() for source in sources} <= ours


def test_a_body_that_is_too_large_is_refused(consenting_client):
    answer = consenting_client.post(
        "/uploads/",
        b"{" + b" " * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + b"}",
        content_type="application/json",
    )

    assert answer.status_code == 400


def test_a_form_of_ours_takes_no_file(consenting_client):
    file = SimpleUploadedFile("x.mov", b"x")

    assert consenting_client.post("/send/description/", {"description": file}).status_code == 400


def test_a_form_with_too_many_fields_is_refused(consenting_client):
    fields = {str(number): "" for number in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1)}

    assert consenting_client.post("/send/description/", fields).status_code == 400
