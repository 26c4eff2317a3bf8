"""A patient agrees."""

import re

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from encounters import append_only, consents, erasure, gate, wordings
from encounters.callers import Caller
from encounters.consent_models import WordingsAreFinal
from encounters.models import AccessRecord, Consent, ConsentWording, Encounter, Purpose, Verb
from encounters.text_forms import WordingForm
from encounters.wordings import SHIPPED, SHIPPED_VERSION
from tests.conftest import at_once, drop_triggers

pytestmark = pytest.mark.django_db


def test_nothing_is_ticked_beforehand(patient_client):
    page = patient_client.get("/send/consent/").content.decode()

    boxes = re.findall(r'<input type="checkbox"[^>]*>', page)
    assert len(boxes) == 3
    assert not [box for box in boxes if "checked" in box]


@pytest.mark.parametrize(
    ("ticked", "agreed"),
    [
        ([], ["diagnosis"]),
        (["record"], ["diagnosis", "record"]),
        (["research"], ["diagnosis", "research"]),
        (["record", "research"], ["diagnosis", "record", "research"]),
    ],
)
def test_each_that_was_ticked_is_kept_with_time_version_language_and_text(patient_client, ticked, agreed):
    before = timezone.now()

    answer = patient_client.post("/send/consent/", {"diagnosis": "on", **dict.fromkeys(ticked, "on")})

    given = list(Consent.objects.all())
    assert (answer.status_code, answer.url) == (302, "/send/description/")
    assert [consent.purpose for consent in given] == agreed
    for consent in given:
        assert before <= consent.given_at <= timezone.now()
        assert (consent.version, consent.language) == (SHIPPED_VERSION, "en-gb")
        assert consent.text == SHIPPED["en-gb"][Purpose(consent.purpose)]
        assert (consent.relation, consent.proxy_name) == ("", "")
    record = AccessRecord.objects.get(verb=Verb.CONSENT_GIVEN)
    assert record.invitation
    assert record.reason.startswith(f"{', '.join(agreed)}; wording {SHIPPED_VERSION}, en-gb, ")


@pytest.mark.parametrize("ticked", [{}, {"record": "on", "research": "on"}])
def test_without_the_first_one_nothing_is_kept(patient_client, ticked):
    answer = patient_client.post("/send/consent/", {"csrfmiddlewaretoken": "x", **ticked})

    assert answer.status_code == 200
    assert "We need your yes to this one" in answer.content.decode()
    assert not Consent.objects.exists()
    assert not AccessRecord.objects.filter(verb=Verb.CONSENT_GIVEN).exists()


def test_nothing_else_can_be_agreed_to_without_the_first_one(encounter, team):
    with pytest.raises(consents.ConsentMissing):
        consents.give(
            caller=Caller(),
            encounter=encounter,
            wording=wordings.current(team, "en-gb"),
            purposes=[Purpose.RESEARCH],
        )

    assert not Consent.objects.exists()


def test_a_second_answer_changes_nothing(patient_client):
    patient_client.post("/send/consent/", {"diagnosis": "on"})
    first = Consent.objects.get()

    answer = patient_client.post("/send/consent/", {"diagnosis": "on", "record": "on", "research": "on"})

    assert answer.status_code == 302
    assert Consent.objects.get().given_at == first.given_at
    assert AccessRecord.objects.filter(verb=Verb.CONSENT_GIVEN).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_answers_at_once_are_one(encounter, team):
    def give():
        consents.give(
            caller=Caller(),
            encounter=Encounter.objects.get(),
            wording=wordings.current(team, "en-gb"),
            purposes=list(Purpose),
        )

    assert at_once(give, give, give) == [None] * 3
    assert Consent.objects.count() == 3
    assert AccessRecord.objects.filter(verb=Verb.CONSENT_GIVEN).count() == 1


# For somebody else


def test_who_answers_for_the_patient_is_kept(patient_client):
    patient_client.post(
        "/send/consent/",
        {"diagnosis": "on", "record": "on", "relation": "parent", "proxy_name": "Ottilie Quillfeather"},
    )

    for consent in Consent.objects.all():
        assert (consent.relation, consent.proxy_name) == ("parent", "Ottilie Quillfeather")
        assert consent.given_by == "Ottilie Quillfeather (parent)"
    record = AccessRecord.objects.get(verb=Verb.CONSENT_GIVEN)
    assert record.reason.endswith("; by parent")
    assert "Ottilie" not in record.reason


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"proxy_name": "Ottilie"}, "Please choose who you are to the patient."),
        ({"relation": "carer"}, "Please write your name."),
        ({"relation": "carer", "proxy_name": "   "}, "Please write your name."),
        ({"relation": "burglar", "proxy_name": "Ottilie"}, "burglar"),
        ({"relation": "carer", "proxy_name": "x" * 201}, "at most 200 characters"),
    ],
)
def test_half_an_answer_for_somebody_else_is_none(patient_client, given, words):
    page = patient_client.post("/send/consent/", {"diagnosis": "on", **given}).content.decode()

    assert words in page
    assert '<details class="proxy" open>' in page
    assert not Consent.objects.exists()


# Wordings


def a_new_wording(team, alice, words="Question"):
    texts = {
        language: {purpose: f"{words} {purpose} {language}" for purpose in Purpose} for language in SHIPPED
    }
    wordings.add_version(caller=Caller(user=alice), team=team, texts=texts)
    return wordings.current(team, "en-gb").version


def test_a_team_s_own_wording_is_asked_and_older_answers_keep_theirs(
    patient_client, other_patient_client, team, alice, encounter, staff_client
):
    patient_client.post("/send/consent/", {"diagnosis": "on", "wording": f"{SHIPPED_VERSION} en-gb"})
    version = a_new_wording(team, alice)
    Consent.objects.exclude(encounter=encounter).delete()

    assert "Question diagnosis en-gb" in other_patient_client.get("/send/consent/").content.decode()
    other_patient_client.post("/send/consent/", {"diagnosis": "on", "wording": f"{version} en-gb"})

    older, newer = Consent.objects.all()
    assert (older.version, older.text) == (SHIPPED_VERSION, SHIPPED["en-gb"][Purpose.DIAGNOSIS])
    assert (newer.version, newer.text) == (version, "Question diagnosis en-gb")
    page = staff_client.get(f"/encounters/{encounter.reference}/").content.decode()
    assert f"wording {SHIPPED_VERSION}" in page
    assert "The staff who look after me use them" in page


def test_an_answer_to_a_wording_that_is_asked_no_more_is_asked_anew(patient_client, team, alice):
    a_new_wording(team, alice)

    answer = patient_client.post("/send/consent/", {"diagnosis": "on", "wording": f"{SHIPPED_VERSION} en-gb"})

    page = answer.content.decode()
    assert "These questions have changed since you opened the page." in page
    assert "Question diagnosis en-gb" in page
    assert not [box for box in re.findall(r'<input type="checkbox"[^>]*>', page) if "checked" in box]
    assert not Consent.objects.exists()


def test_another_team_s_wording_is_its_own(patient_client, other_team, alice):
    a_new_wording(other_team, alice)

    assert "Question" not in patient_client.get("/send/consent/").content.decode()


def test_versions_of_one_day_are_told_apart(team, alice):
    assert len({a_new_wording(team, alice, words) for words in ("One", "Two", "Three")}) == 3


def test_a_wording_is_never_changed(team, alice):
    a_new_wording(team, alice)
    wording = ConsentWording.objects.first()
    wording.research = "Everything may be published."

    for act in (wording.save, wording.delete):
        with pytest.raises(WordingsAreFinal):
            act()
    assert "published" not in ConsentWording.objects.get(pk=wording.pk).research


def test_every_shipped_wording_is_whole():
    for asked in SHIPPED.values():
        assert list(asked) == list(Purpose)
        assert all(text.count("\n") == 1 for text in asked.values())


def wording_fields(team, **changes):
    form = WordingForm(current={language: wordings.current(team, language) for language in SHIPPED})
    return {name: field.initial for name, field in form.fields.items()} | changes


def test_an_admin_adds_a_version(admin_client, team, patient_client):
    address = f"/texts/{team.code}/consent/"
    assert SHIPPED_VERSION in admin_client.get(address).content.decode()

    answer = admin_client.post(address, wording_fields(team, **{"en-gb-research": "For teaching\r\nAlone."}))

    assert answer.status_code == 302
    assert wordings.current(team, "en-gb").texts[Purpose.RESEARCH] == "For teaching\nAlone."
    assert wordings.current(team, "cy").texts == SHIPPED["cy"]
    assert AccessRecord.objects.get(verb=Verb.TEXTS_CHANGED).user.is_admin
    assert "<strong>For teaching</strong> Alone." in patient_client.get("/send/consent/").content.decode()


@pytest.mark.parametrize("changes", [{}, {"cy-record": ""}, {"en-gb-record": "x" * 2001}])
def test_what_is_not_whole_or_not_new_is_no_version(admin_client, team, changes):
    answer = admin_client.post(f"/texts/{team.code}/consent/", wording_fields(team, **changes))

    assert answer.status_code == 200
    assert not ConsentWording.objects.exists()


def test_clinicians_do_not_write_it(staff_client, team):
    address = f"/texts/{team.code}/consent/"

    assert staff_client.get("/texts/").status_code == 404
    assert staff_client.get(address).status_code == 404
    assert staff_client.post(address, wording_fields(team, **{"cy-record": "x"})).status_code == 404
    assert not ConsentWording.objects.exists()


@pytest.mark.parametrize("path", ["/send/description/", "/send/videos/"])
def test_before_it_no_later_step_opens(patient_client, path):
    answer = patient_client.get(path)

    assert (answer.status_code, answer.url) == (302, "/send/consent/")


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("a stranger", 403),
        ("Charlie", 403),
        ("a patient whose link was withdrawn", 403),
        ("a patient whose link expired", 403),
    ],
)
def test_nobody_else_agrees_for_the_patient(browser_of, encounter, who, status):
    Consent.objects.all().delete()

    assert browser_of(who).post("/send/consent/", {"diagnosis": "on"}).status_code == status


def test_the_csrf_token_is_needed(strict_client):
    Consent.objects.all().delete()

    assert strict_client.post("/send/consent/", {"diagnosis": "on"}).status_code == 403
    assert not Encounter.objects.get().consented


def test_the_clinician_reads_what_was_agreed(staff_client, patient_client, encounter):
    patient_client.post(
        "/send/consent/", {"diagnosis": "on", "research": "on", "relation": "carer", "proxy_name": "Ottilie"}
    )

    page = staff_client.get(f"/encounters/{encounter.reference}/").content.decode()

    assert f"by Ottilie (carer), wording {SHIPPED_VERSION}, English" in page
    assert "Patient record: no" in page
    assert "Research and teaching: no" not in page
    assert "My care stays the same if I leave this out." in page


# Found again


def test_the_worklist_can_be_narrowed_to_research(
    staff_client, patient_client, other_patient_client, encounter
):
    patient_client.post("/send/consent/", {"diagnosis": "on", "research": "on"})

    def shown(query):
        return [row.pk for row in staff_client.get(f"/?{query}").context["page"]]

    assert shown("research=1") == [encounter.pk]
    assert shown("research=1&state=waiting") == [encounter.pk]
    assert shown("research=1&state=arrived") == []
    assert len(shown("")) == 2

    consents.withdraw(caller=Caller(), encounter=encounter, purposes=[Purpose.RESEARCH])

    assert shown("research=1") == []
    assert "comes with consent to research and teaching" in staff_client.get("/?research=1").content.decode()


def test_nothing_is_agreed_to_in_what_is_being_erased(encounter, alice):
    """A form that was sent in the moment in which consent was withdrawn elsewhere."""
    erasure.withdraw(caller=Caller(user=alice), encounter=encounter)

    with pytest.raises(gate.ConsentWithdrawn):
        consents.give(
            caller=Caller(),
            encounter=encounter,
            wording=wordings.current(encounter.team, "en-gb"),
            purposes=[Purpose.DIAGNOSIS],
        )
    assert not encounter.consents.exists()


# From before each consent had a row


@pytest.mark.django_db(transaction=True)
def test_older_consents_keep_their_time_and_the_words_that_were_shown(encounter):
    agreed_at = timezone.now()
    drop_triggers()
    executor = MigrationExecutor(connection)
    try:
        executor.migrate([("encounters", "0006_encryption_and_viewings")])
        older = executor.loader.project_state([("encounters", "0006_encryption_and_viewings")]).apps
        older.get_model("encounters", "Encounter").objects.update(
            consent_wording="2026-11", consent_diagnosis_at=agreed_at, consent_research_at=agreed_at
        )
        executor = MigrationExecutor(connection)
    finally:
        executor.migrate(executor.loader.graph.leaf_nodes())
        append_only.install(connection)

    given = {consent.purpose: consent for consent in Consent.objects.all()}
    assert set(given) == {"diagnosis", "research"}
    assert given["research"].given_at == agreed_at
    assert given["research"].version == "2026-11"
    assert given["research"].text.startswith(
        "The videos may be used for research and teaching. You may leave"
    )
    assert Encounter.objects.get().consented
