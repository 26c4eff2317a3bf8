"""A clinician finds a patient on the worklist by name, record number or reference."""

from datetime import date

import pytest

from encounters import search
from encounters.callers import Caller
from encounters.encounters import open_encounter
from encounters.models import Patient, SearchTerm
from tests.conftest import BIRTH_DATE, signed_in
from tests.encounters.support import everything_stored

pytestmark = pytest.mark.django_db

PEOPLE = (
    ("R-1", "Zoë", "Quillfeather"),
    ("R-2", "Seán", "O'Brien"),
    ("R-3", "Anna Maria", "Smith-Jones"),
    ("943 476 5919", "Li", "Wu"),
    ("R-5", "Søren", "Großmann"),
    ("R-6", "Rosalind", "Featherstonehaughington"),
)


@pytest.fixture
def people(alice, team):
    for number, given, family in PEOPLE:
        patient = Patient(record_number=number, given_name=given, family_name=family, birth_date=BIRTH_DATE)
        open_encounter(caller=Caller(user=alice), team=team, patient=patient, what_to_film="x")


def look_for(client, text, **more):
    """The worklist to which the search leads."""
    return client.post("/find/", {"q": text, **more}, follow=True)


def found(client, text, **more):
    return [row.patient.record_number for row in look_for(client, text, **more).context["page"]]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("quillfeather", ["R-1"]),
        ("  QUILL ", ["R-1"]),
        ("zoe", ["R-1"]),
        ("Zoë Quill", ["R-1"]),
        ("quill zoe", ["R-1"]),
        ("obrien", ["R-2"]),
        ("O'Brien", ["R-2"]),
        ("o\u2019bri", ["R-2"]),
        ("brien", ["R-2"]),
        ("sean", ["R-2"]),
        ("Smith-Jones", ["R-3"]),
        ("jones anna", ["R-3"]),
        ("maria", ["R-3"]),
        ("li", ["943 476 5919"]),
        ("Wu Li", ["943 476 5919"]),
        ("9434765919", ["943 476 5919"]),
        ("943 476 5919", ["943 476 5919"]),
        ("r-2", ["R-2"]),
        ("soren grossmann", ["R-5"]),
        ("Featherstonehaughing", ["R-6"]),
        ("featherst", ["R-6"]),
        ("quilt", []),
        ("feather quill", []),
        ("zoe brien", []),
        ("ob", []),
        ("943", []),
        ("'", []),
    ],
)
def test_names_are_found_by_how_their_words_begin_and_numbers_as_a_whole(staff_client, people, text, numbers):
    assert found(staff_client, text) == numbers


def test_a_reference_is_found_by_its_beginning(staff_client, people, encounter):
    assert found(staff_client, encounter.reference[:8].upper()) == ["R-17"]
    assert found(staff_client, encounter.reference) == ["R-17"]


def test_several_are_found_newest_first_and_a_state_narrows(staff_client, people, encounter):
    assert found(staff_client, "ros") == ["R-17", "R-6"]
    assert found(staff_client, "ros", state="closed") == []


def test_a_search_keeps_the_wish_for_consent_to_research(staff_client, people):
    answer = staff_client.post("/find/", {"q": "quill", "research": "1"})

    assert "research=1" in answer.url
    assert '<input type="hidden" name="research" value="1">' in staff_client.get(answer.url).content.decode()


def test_another_team_s_patients_are_not_found(charlies_client, admin_client, people):
    assert found(charlies_client, "quillfeather") == []
    assert (
        admin_client.post("/find/", {"q": "quillfeather"}, follow=True).redirect_chain[-1][0]
        == "/conversions/"
    )


def test_the_page_says_what_was_sought_and_how_to_get_back(staff_client, people):
    page = look_for(staff_client, "quill").content.decode()
    assert "1 found for <strong>quill</strong>" in page
    assert 'value="quill"' in page

    page = look_for(staff_client, "nobody").content.decode()
    assert "Nobody found" in page


def test_nothing_sought_is_the_whole_worklist(staff_client, people):
    assert len(found(staff_client, "  ")) == len(PEOPLE)


def test_the_address_does_not_say_who_was_sought_and_serves_nobody_else(staff_client, bobs_client, people):
    address = staff_client.post("/find/", {"q": "Quillfeather"}).url

    assert "uill" not in address
    assert len(staff_client.get(address).context["page"]) == 1
    assert len(bobs_client.get(address).context["page"]) == len(PEOPLE)
    assert len(staff_client.get("/?find=enc:x:AAAA").context["page"]) == len(PEOPLE)


def test_polling_and_tabs_keep_the_search(staff_client, people):
    answer = look_for(staff_client, "quill")
    token = answer.context["query"]

    assert f'hx-get="/?{token.replace("&", "&amp;")}' in answer.content.decode()
    assert len(staff_client.get(f"/?{token}", headers={"HX-Request": "true"}).context["page"]) == 1


@pytest.mark.parametrize("count", [1, 20])
def test_a_search_takes_as_many_queries_for_one_as_for_twenty(alice, team, count, django_assert_num_queries):
    for number in range(count):
        patient = Patient(
            record_number=f"N-{number}", given_name="A", family_name="Quill", birth_date=BIRTH_DATE
        )
        open_encounter(caller=Caller(user=alice), team=team, patient=patient, what_to_film="x")
    client = signed_in(alice)
    address = client.post("/find/", {"q": "quill"}).url

    with django_assert_num_queries(5):
        answer = client.get(address)

    assert len(answer.context["page"]) == count


# The index


def terms():
    return set(SearchTerm.objects.values_list("term", flat=True))


def test_a_new_name_is_found_and_the_old_one_no_longer(staff_client, encounter):
    encounter.patient.family_name = "Ashgrove"
    encounter.patient.save()

    assert found(staff_client, "ashgrove") == ["R-17"]
    assert found(staff_client, "quillfeather") == []


def test_saving_again_changes_no_term(encounter):
    before = terms()

    encounter.patient.save()

    assert terms() == before


def test_how_many_terms_there_are_does_not_tell_how_long_a_name_is(people):
    counts = {patient.search_terms.count() for patient in Patient.objects.all()}

    assert all(count % search.TERMS_AT_A_TIME == 0 for count in counts)


def test_the_same_name_in_another_team_has_no_term_in_common(team, other_team):
    one, two = (
        Patient(
            team=team, record_number="R-1", given_name="Ada", family_name="Quill", birth_date=date(2000, 1, 1)
        )
        for team in (team, other_team)
    )

    assert not search.terms(one) & search.terms(two)


def test_another_key_gives_other_terms(settings, encounter):
    settings.FIELD_INDEX_KEYS = {"new": "n" * 40}

    assert not search.terms(encounter.patient) & terms()


def test_a_record_number_is_still_told_apart_by_case(alice, team):
    """As before there was an index: which numbers are one is for the clinic to say."""
    for number in ("r-1", "R-1"):
        Patient.objects.create(team=team, record_number=number, birth_date=BIRTH_DATE)

    assert Patient.objects.numbered(team, "R-1").get().record_number == "R-1"
    assert "r-1" not in everything_stored()
