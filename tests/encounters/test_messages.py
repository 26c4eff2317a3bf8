"""The message that brings a link: in whose words, in which language, and what is told if it fails."""

import re
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected

import pytest

from encounters import messages, sms
from encounters.message_models import FAILURES
from encounters.models import AccessRecord, Channel, Invitation, MessageText, Patient, Verb
from portal.seaweed import free_port
from tests.conftest import try_date
from tests.encounters.test_languages import RIGHT

pytestmark = pytest.mark.django_db
NUMBER = "07700 900123"


@pytest.fixture
def address(encounter):
    Patient.objects.update(mobile=NUMBER)
    return f"/encounters/{encounter.reference}/links/"


@pytest.fixture
def texts(tmp_path, settings):
    """`texts()`: what the demo's carrier wrote, oldest first."""
    settings.VAR_DIR = tmp_path
    return lambda: [path.read_text() for path in sorted((tmp_path / "sms").glob("*.txt"))]


def link_in(text):
    return re.search(r"http://testserver(/u/[^/\s\"]+/)", text)[1]


def test_a_text_message_brings_a_link_that_opens(staff_client, address, texts, client):
    answer = staff_client.post(address, {"channel": "sms", "language": "en-gb"})

    (text,) = texts()
    assert text.startswith("To: +447700900123\n\nYour clinic asks you to send a video.")
    for private in ("Rosalind", "Quillfeather", "1958", "R-17", "gait", "Neurology"):
        assert private not in text
    assert try_date(client, link_in(text), RIGHT).status_code == 302
    assert f"The link is on its way to {NUMBER}." in answer.content.decode()
    assert Invitation.objects.get().sent_at
    assert AccessRecord.objects.get(verb=Verb.LINK_SENT).reason == "text message"


@pytest.mark.parametrize(
    ("channel", "words"),
    [("sms", "Mae eich clinig yn gofyn i chi anfon fideo."), ("email", "Nid oes angen cyfrif arnoch.")],
)
def test_the_patient_is_written_to_in_the_language_that_the_clinician_chose(
    staff_client, address, texts, mailoutbox, client, channel, words
):
    page = staff_client.post(address, {"channel": channel, "language": "cy"}).content.decode()

    text = texts()[0] if channel == "sms" else mailoutbox[0].body
    assert words in text
    assert [mail.subject for mail in mailoutbox] in ([], ["Anfonwch eich fideo i'ch clinig"])
    assert "Cymraeg" in page
    assert '<option value="cy" lang="cy" selected>' in page
    greeting = client.get(link_in(text), follow=True)
    assert greeting.headers["Content-Language"] == "cy"


def test_an_unknown_channel_or_language_is_the_plainest(staff_client, address, texts):
    staff_client.post(address, {"channel": "pigeon", "language": "xx"})

    invitation = Invitation.objects.get()
    assert (invitation.channel, invitation.language) == ("screen", "en-gb")
    assert texts() == []


def test_no_log_holds_a_token_or_a_number(staff_client, address, texts, log_lines):
    staff_client.post(address, {"channel": "sms"})
    staff_client.post(address, {"channel": "email"})

    token = link_in(texts()[0]).split("/")[2]
    assert "text message written" in log_lines()
    assert token not in log_lines()
    assert "7700" not in log_lines()
    assert "quillfeather" not in log_lines().lower()


def test_without_a_number_there_is_no_text_message(staff_client, address, texts):
    Patient.objects.update(mobile="")

    answer = staff_client.post(address, {"channel": "sms"})

    assert answer.status_code == 409
    assert "There is no mobile number" in answer.content.decode()
    assert not Invitation.objects.exists()


def test_where_there_is_no_carrier_none_is_offered(staff_client, address, settings, encounter):
    settings.SMS_CARRIER = "none"

    page = staff_client.get(f"/encounters/{encounter.reference}/").content.decode()
    answer = staff_client.post(address, {"channel": "sms"})

    assert "Send by text message" not in page
    assert FAILURES["no_carrier"] in answer.content.decode()


# What goes wrong


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SMTPRecipientsRefused({}), "bad_address"),
        (SMTPServerDisconnected(), "unreachable"),
        (TimeoutError(), "unreachable"),
    ],
)
def test_an_e_mail_that_fails_is_told_and_can_be_sent_again(
    staff_client, address, monkeypatch, mailoutbox, error, code
):
    def fail(*args, **kwargs):
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(messages, "send_mail", fail)
        answer = staff_client.post(address, {"channel": "email", "language": "cy"})

    page = answer.content.decode()
    failed = Invitation.objects.get()
    assert answer.status_code == 200
    assert FAILURES[code] in page
    assert "on its way" not in page
    assert "data:image/svg+xml" in page
    assert (failed.failure, failed.sent_at) == (code, None)
    assert AccessRecord.objects.get(verb=Verb.LINK_NOT_SENT).reason == f"e-mail, {code}"

    again = staff_client.post(f"{address}{failed.pk}/resend/")

    failed.refresh_from_db()
    fresh = Invitation.objects.exclude(pk=failed.pk).get()
    assert "on its way" in again.content.decode()
    assert (fresh.channel, fresh.language, fresh.failure) == ("email", "cy", "")
    assert failed.revoked_at
    assert len(mailoutbox) == 1


def test_a_link_that_went_out_keeps_working_when_it_is_sent_again(staff_client, address, texts, client):
    staff_client.post(address, {"channel": "sms"})
    first = Invitation.objects.get()

    staff_client.post(f"{address}{first.pk}/resend/")

    assert len(texts()) == 2
    for text in texts():
        assert try_date(client, link_in(text), RIGHT).status_code == 302


def test_a_number_that_is_none_is_told(staff_client, address, texts):
    Patient.objects.update(mobile="12345")

    page = staff_client.post(address, {"channel": "sms"}).content.decode()

    assert FAILURES["bad_number"] in page
    assert texts() == []


def test_the_list_says_what_was_not_sent(staff_client, address, encounter, settings):
    settings.SMS_CARRIER = "webhook"
    settings.SMS_WEBHOOK_URL = f"http://127.0.0.1:{free_port()}/"
    settings.SMS_WEBHOOK_SECRET = "x" * 32
    staff_client.post(address, {"channel": "sms"})

    page = staff_client.get(f"/encounters/{encounter.reference}/").content.decode()

    assert f"not sent: {FAILURES['unreachable']}" in page
    assert "Send again" in page


def test_the_team_sends_again_and_nobody_else(
    charlies_client, admin_client, client, staff_client, address, texts
):
    staff_client.post(address, {"channel": "sms"})
    again = f"{address}{Invitation.objects.get().pk}/resend/"

    assert charlies_client.post(again).status_code == 404
    assert admin_client.post(again).status_code == 404
    assert client.post(again).status_code == 302
    assert staff_client.get(again).status_code == 405
    assert len(texts()) == 1


# The clinic's own words


def message(team, channel="sms", language="en-gb", **changes):
    form = f"{channel}-{language}"
    fields = {"channel": channel, "language": language, "subject": "", "body": "Hi {link} {until}", **changes}
    return {"form": form, **{f"{form}-{name}": value for name, value in fields.items()}}


def test_a_team_s_own_text_is_sent(admin_client, staff_client, address, team, texts):
    admin_client.post(f"/texts/{team.code}/messages/", message(team))
    staff_client.post(address, {"channel": "sms"})
    staff_client.post(address, {"channel": "sms", "language": "cy"})

    english, welsh = texts()
    assert re.search(r"Hi http://testserver/u/\S+/ \d+ \w+$", english.strip())
    assert "Mae eich clinig" in welsh
    assert AccessRecord.objects.get(verb=Verb.TEXTS_CHANGED).reason == (
        "text message in en-gb of team neurology"
    )


def test_an_e_mail_has_its_own_subject(admin_client, staff_client, address, team, mailoutbox):
    own = message(team, "email", subject="Your video", body="Line one\r\n\r\n{link}")
    admin_client.post(f"/texts/{team.code}/messages/", own)

    staff_client.post(address, {"channel": "email"})

    assert mailoutbox[0].subject == "Your video"
    assert mailoutbox[0].body.startswith("Line one\n\nhttp://testserver/u/")


def test_emptied_or_put_back_the_shipped_text_is_sent(admin_client, team):
    page = f"/texts/{team.code}/messages/"
    admin_client.post(page, message(team))
    assert "Own text" in admin_client.get(page).content.decode()

    admin_client.post(page, message(team, body=""))
    assert not MessageText.objects.exists()

    shipped = messages.shipped(Channel.SMS, "en-gb").body
    admin_client.post(page, message(team, body=shipped))
    assert not MessageText.objects.exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("Please send a video.", "The text needs {link}"),
        ("{link} {name}", "There is no {name}."),
        ("{link} {}", "There is no {}."),
        ("{link} {until.year}", "There is no {until.year}."),
        ("{link!r}", "nothing more inside the braces"),
        ("{link:>50}", "nothing more inside the braces"),
        ("{link} {", "A brace { or } stands alone."),
        ("{link} }", "A brace { or } stands alone."),
        ("{link}" + "x" * 2000, "at most 2000 characters"),
    ],
)
def test_placeholders_are_checked(admin_client, team, body, words):
    answer = admin_client.post(f"/texts/{team.code}/messages/", message(team, body=body))

    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not MessageText.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": "email", "subject": ""},
        {"channel": "screen"},
        {"language": "xx"},
    ],
)
def test_what_is_no_message_is_refused(admin_client, team, changes):
    admin_client.post(f"/texts/{team.code}/messages/", message(team, **changes))

    assert not MessageText.objects.exists()


def test_a_preview_saves_nothing(admin_client, team):
    own = message(team, body="Go to {link} by {until}")

    page = admin_client.post(f"/texts/{team.code}/messages/", {**own, "preview": "1"}).content.decode()

    assert "Go to http://testserver/u/xxxxxxxx" in page
    assert "as 1 text message" in page
    assert not MessageText.objects.exists()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ŵ" * 70, 1),
        ("ŵ" * 71, 2),
    ],
)
def test_text_messages_are_counted_as_carriers_do(text, count):
    assert messages.segments(text) == count


@pytest.mark.parametrize("language", ["en-gb", "cy"])
def test_the_shipped_text_message_needs_no_costly_alphabet(language):
    text = messages.shipped(Channel.SMS, language).filled(messages.sample(language))

    assert set(text) <= messages.GSM
    assert messages.problem(messages.shipped(Channel.SMS, language).body) == ""
    assert messages.problem(messages.shipped(Channel.EMAIL, language).body) == ""


def test_clinicians_do_not_write_them(staff_client, team):
    page = f"/texts/{team.code}/messages/"

    assert staff_client.get(page).status_code == 404
    assert staff_client.post(page, message(team)).status_code == 404
    assert not MessageText.objects.exists()


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("07700 900123", "+447700900123"),
        ("+44 (0)7700 900123", "+447700900123"),
        ("0044 7700 900123", "+447700900123"),
        ("+353 85 012 3456", "+353850123456"),
        ("020 7946 0018", None),
        ("0800 123 4567", None),
        ("12345", None),
        ("ring me", None),
        ("", None),
        ("+44 7700 900123 4567", None),
    ],
)
def test_numbers_are_read_as_people_write_them(written, number):
    assert sms.in_e164(written) == number
