"""Patients read in their language: catalogues that are whole, and who gets which language."""

import gettext
import re
import subprocess
from datetime import date

import pytest
from babel.core import Locale
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.utils import translation
from django.utils.dateformat import format as format_date
from django.utils.translation import ngettext

from encounters import languages
from encounters.callers import Caller
from encounters.invitations import issue
from encounters.models import Channel, Consent, Encounter, Invitation
from encounters.wordings import SHIPPED
from portal.management.commands.update_messages import catalogues, extracted, updated, written
from tests.conftest import give_birth_date, try_date
from tests.encounters.support import announce, make_video
from transcoding.engine.contracts import FailureCode
from transcoding.models import Status

pytestmark = pytest.mark.django_db
CATALOGUES = list(catalogues())
NAMES = [f"{path.parts[-3]}-{domain}" for domain, path in CATALOGUES]
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|\{\w+\}")
RIGHT = {"day": 27, "month": 3, "year": 1958}


def read(domain, path):
    with path.open("rb") as file:
        return read_po(file, domain=domain)


def strings(message):
    return list(message.string) if isinstance(message.string, tuple | list) else [message.string]


def ids(message):
    return list(message.id) if isinstance(message.id, tuple | list) else [message.id]


# The catalogues


def test_each_language_but_the_first_has_both_catalogues():
    found = {(path.parts[-3], domain) for domain, path in CATALOGUES}
    others = [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]

    assert found == {(code, domain) for code in others for domain in ("django", "djangojs")}
    assert set(SHIPPED) == {code for code, _ in settings.LANGUAGES}


@pytest.mark.parametrize(("domain", "path"), CATALOGUES, ids=NAMES)
def test_every_string_in_use_is_translated_and_none_is_in_doubt(domain, path):
    catalogue = read(domain, path)
    used = {message[0] if isinstance(message, tuple) else message for _, message in extracted(domain)}

    assert used == {ids(message)[0] for message in catalogue if message.id}
    assert [message.id for message in catalogue if message.id and not all(strings(message))] == []
    assert [message.id for message in catalogue if message.fuzzy] == []
    assert not catalogue.obsolete


@pytest.mark.parametrize(("domain", "path"), CATALOGUES, ids=NAMES)
def test_what_is_compiled_is_what_is_written(domain, path):
    catalogue = read(domain, path)
    with path.with_suffix(".mo").open("rb") as file:
        compiled = read_mo(file)

    assert {ids(m)[0]: strings(m) for m in compiled if m.id} == {
        ids(m)[0]: strings(m) for m in catalogue if m.id
    }
    assert written(updated(domain, path))[1] == path.with_suffix(".mo").read_bytes()


@pytest.mark.parametrize(("domain", "path"), CATALOGUES, ids=NAMES)
def test_what_is_filled_in_is_the_same_in_each_language(domain, path):
    for message in read(domain, path):
        if message.id:
            wanted = sorted(PLACEHOLDER.findall(ids(message)[-1]))
            assert [sorted(PLACEHOLDER.findall(text)) for text in strings(message)] == [wanted] * len(
                strings(message)
            )


@pytest.mark.parametrize(("domain", "path"), CATALOGUES, ids=NAMES)
def test_plurals_are_counted_as_cldr_does(domain, path):
    """So the same list of forms serves Python's gettext and the browser's Intl.PluralRules."""
    catalogue = read(domain, path)
    forms = ["zero", "one", "two", "few", "many", "other"]
    rule = Locale.parse(path.parts[-3]).plural_form
    known = [form for form in forms if form in {*rule.rules, "other"}]
    form_of = gettext.c2py(catalogue.plural_expr)

    assert catalogue.num_plurals == len(known)
    assert [known[form_of(n)] for n in range(30)] == [rule(n) for n in range(30)]


@pytest.mark.parametrize(
    ("minutes", "words"), [(1, "1 munud,"), (2, "2 funud,"), (3, "3 munud,"), (15, "15 munud,")]
)
def test_welsh_mutates_after_two(minutes, words):
    english = "That was wrong too many times. Please wait %(minutes)d {}, then try again. "
    with translation.override("cy"):
        text = ngettext(
            english.format("minute") + "Or ask your clinic for a new link.",
            english.format("minutes") + "Or ask your clinic for a new link.",
            minutes,
        ) % {"minutes": minutes}

    assert words in text


def test_dates_are_spelt_right():
    with translation.override("cy"):
        months = [format_date(date(2026, month, 1), "F") for month in range(1, 13)]

    assert months == [
        "Ionawr", "Chwefror", "Mawrth", "Ebrill", "Mai", "Mehefin",
        "Gorffennaf", "Awst", "Medi", "Hydref", "Tachwedd", "Rhagfyr",
    ]  # fmt: skip


def test_the_command_changes_nothing_that_is_up_to_date(capsys):
    before = {path: path.read_bytes() for _, path in CATALOGUES}
    try:
        call_command("update_messages")
        after = {path: path.read_bytes() for path in before}
    finally:
        for path, content in before.items():
            path.write_bytes(content)

    assert after == before
    assert "0 to translate" in capsys.readouterr().out


def test_a_fresh_checkout_has_what_it_needs():
    listed = subprocess.run(
        ["git", "check-ignore", "locale/cy/LC_MESSAGES/django.mo"], cwd=settings.BASE_DIR, check=False
    )
    assert listed.returncode != 0


# Who reads what


@pytest.fixture
def welsh_link(alice, encounter):
    _, address = issue(caller=Caller(user=alice), encounter=encounter, channel=Channel.SCREEN, language="cy")
    return address.removeprefix(settings.BASE_URL)


@pytest.fixture
def welsh_client(welsh_link):
    client = Client()
    give_birth_date(client, welsh_link)
    return client


def language_of(answer):
    page = answer.content.decode()
    assert answer.headers["Content-Language"] == re.search(r'<html lang="([\w-]+)"', page)[1]
    return answer.headers["Content-Language"]


def test_the_clinic_s_choice_is_the_first_greeting(welsh_link):
    answer = Client().get(welsh_link, follow=True)

    assert language_of(answer) == "cy"
    assert "Beth yw eich dyddiad geni?" in answer.content.decode()


def test_without_a_link_the_browser_s_own_language_counts():
    welsh = Client(headers={"Accept-Language": "cy-GB,cy;q=0.9,en;q=0.5"}).get("/send/")
    other = Client(headers={"Accept-Language": "fr"}).get("/send/")

    assert (language_of(welsh), language_of(other)) == ("cy", "en-gb")
    assert "Agorwch y ddolen gan eich clinig eto." in welsh.content.decode()


def test_what_the_patient_chooses_is_remembered(welsh_link):
    client = Client()
    client.get(welsh_link)

    answer = client.post("/send/language/", {"language": "en-gb", "next": "/send/birth-date/"})

    assert (answer.status_code, answer.url) == (302, "/send/birth-date/")
    cookie = client.cookies["language"]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == ("en-gb", True, "Lax")
    assert language_of(client.get("/send/birth-date/")) == "en-gb"
    assert language_of(client.get(welsh_link, follow=True)) == "en-gb"


@pytest.mark.parametrize("elsewhere", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:x"])
def test_the_switch_leads_to_no_other_site(elsewhere):
    answer = Client().post("/send/language/", {"language": "cy", "next": elsewhere})

    assert answer.url == "/"


@pytest.mark.parametrize("language", ["xx", "", "../cy"])
def test_a_language_that_there_is_not_is_not_remembered(language):
    client = Client()
    client.post("/send/language/", {"language": language, "next": "/send/"})
    assert "language" not in client.cookies

    client.cookies["language"] = language or "xx"
    assert language_of(client.get("/send/")) == "en-gb"


def test_the_switch_needs_a_post_and_the_csrf_token():
    assert Client().get("/send/language/").status_code == 405
    strict = Client(enforce_csrf_checks=True).post("/send/language/", {"language": "cy"})
    assert strict.status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/send/consent/", "/send/description/", "/send/videos/", "/send/receipt/", "/send/agreement/",
     "/send/withdraw/", "/send/nonsense/"],
)  # fmt: skip
def test_every_page_has_the_switch_and_says_its_language(welsh_client, path, store):
    if path != "/send/consent/":
        welsh_client.post("/send/consent/", {"diagnosis": "on"})

    answer = welsh_client.get(path)

    page = answer.content.decode()
    assert language_of(answer) == "cy"
    assert '<button class="button button--quiet" name="language" value="en-gb" lang="en-gb">English' in page
    assert f'<input type="hidden" name="next" value="{path}">' in page


def test_consent_is_asked_and_kept_in_it(welsh_client):
    page = welsh_client.get("/send/consent/").content.decode()
    assert "Caiff fy nghlinig wylio fy fideos" in page

    welsh_client.post("/send/consent/", {"diagnosis": "on"})

    consent = Consent.objects.get()
    assert consent.language == "cy"
    assert consent.statement == "Caiff fy nghlinig wylio fy fideos"


def test_the_clinician_reads_in_which_language_that_was(welsh_client, staff_client, encounter):
    welsh_client.post("/send/consent/", {"diagnosis": "on"})

    answer = staff_client.get(f"/encounters/{encounter.reference}/", headers={"Accept-Language": "cy"})

    page = answer.content.decode()
    assert language_of(answer) == "en-gb"
    assert '<blockquote lang="cy">' in page
    assert "Cymraeg" in page


def test_wrong_dates_are_answered_in_it(welsh_link):
    client = Client()
    wrong = [try_date(client, welsh_link, {**RIGHT, "day": 1}) for _ in range(6)]

    assert "Nid dyna'r dyddiad geni sydd gennym." in wrong[0].content.decode().replace("&#x27;", "'")
    assert "Arhoswch 15 munud" in wrong[-1].content.decode()
    assert language_of(wrong[-1]) == "cy"


def test_the_upload_api_answers_in_it(welsh_client, settings, store):
    early = announce(welsh_client).json()["message"]
    welsh_client.post("/send/consent/", {"diagnosis": "on"})
    letter = announce(welsh_client, filename="letter.pdf", type="application/pdf").json()["message"]
    settings.UPLOAD_MAX_BYTES = 10**6
    large = announce(welsh_client, size=2 * 10**6).json()["message"]
    Invitation.objects.update(revoked_at=Invitation.objects.get().created_at)
    closed = announce(welsh_client).json()["message"]

    assert early.startswith("Darllenwch y cwestiynau")
    assert letter == "Nid fideo yw'r ffeil hon. Dewiswch fideo yn ei lle."
    assert large == "Mae'r fideo hwn yn fwy na 1.0\N{NO-BREAK SPACE}MB. Recordiwch un byrrach."
    assert closed.startswith("Agorwch y ddolen")


@pytest.mark.parametrize("code", FailureCode)
def test_why_a_video_could_not_be_shown_is_told_in_it(welsh_client, staff_client, encounter, code):
    welsh_client.post("/send/consent/", {"diagnosis": "on"})
    video = make_video(encounter, "IMG_0042.MOV", Status.FAILED)
    type(video.job).objects.update(failure_code=code)

    english = staff_client.get(f"/uploads/{video.pk}/").json()["message"]
    welsh = welsh_client.get(f"/uploads/{video.pk}/").json()["message"]

    assert english
    assert welsh
    assert english != welsh
    assert welsh in welsh_client.get("/send/receipt/").content.decode().replace("&#x27;", "'")


def test_the_scripts_get_their_words(welsh_client, store):
    welsh_client.post("/send/consent/", {"diagnosis": "on"})
    page = welsh_client.get("/send/videos/").content.decode()
    welsh_client.post("/send/language/", {"language": "en-gb"})
    english = welsh_client.get("/send/videos/").content.decode()

    assert "Rhoi cynnig nawr" in re.search(r'<script id="words"[^>]*>(.*?)</script>', page)[1]
    assert '<script id="words" type="application/json">{}</script>' in english
    assert len(languages.words("cy")["about {count} minute left"]) == 6


def test_a_page_that_breaks_says_so_in_it(welsh_client, monkeypatch):
    def break_down(*args):
        raise ZeroDivisionError

    welsh_client.raise_request_exception = False
    monkeypatch.setattr("encounters.views.patient.render", break_down)

    answer = welsh_client.get("/send/consent/")

    assert answer.status_code == 500
    assert "Aeth rhywbeth o'i le ar ein hochr ni" in answer.content.decode()
    assert language_of(answer) == "cy"


def test_a_page_that_was_open_for_too_long_says_so_in_it(welsh_client):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = welsh_client.cookies

    answer = strict.post("/send/consent/", {"diagnosis": "on"})

    assert answer.status_code == 403
    assert "agor yn rhy hir" in answer.content.decode()
    assert not Encounter.objects.get().consented
