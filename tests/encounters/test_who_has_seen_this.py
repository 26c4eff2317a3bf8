"""The page of an encounter's access records, and its export."""

import csv
import io

import pytest
from django.test import Client

from encounters.callers import Caller
from encounters.models import AccessRecord, Verb
from tests.conftest import QUERIES_FOR_A_RECORD, signed_in
from tests.encounters.support import make_video
from transcoding.models import Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(encounter):
    return f"/encounters/{encounter.reference}/access/"


@pytest.fixture
def export(encounter):
    return f"/encounters/{encounter.reference}/access.csv"


def rows(answer):
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def test_it_names_each_member_of_staff_with_what_they_saw(staff_client, bob, encounter, address):
    bobs_client, video = signed_in(bob), make_video(encounter, "IMG_0001.MOV", Status.SUCCEEDED)
    for _ in range(2):
        bobs_client.get(f"/encounters/{encounter.reference}/")
    Caller(user=bob).record(Verb.VIDEO_PLAYED, encounter=encounter, video=video)

    answer = staff_client.get(address)

    (seen,) = answer.context["seen_by"]
    assert (seen["user__name"], seen["views"], seen["plays"]) == ("Bob", 2, 1)
    assert "Video played" in answer.content.decode()


def test_it_tells_what_the_patient_did_without_a_name(staff_client, patient_client, address):
    page = staff_client.get(address).content.decode()

    assert "Link opened" in page
    assert "The patient" in page
    assert "Rosalind" not in page.partition("<h1>")[2]


def test_looking_at_it_is_recorded_too(staff_client, alice, address):
    staff_client.get(address)

    assert AccessRecord.objects.get(verb=Verb.RECORDS_VIEWED).user == alice


def test_the_export_holds_all_of_it(staff_client, patient_client, encounter, export):
    answer = staff_client.get(export)

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="access-{encounter.reference}.csv"'
    assert [row["act"] for row in rows(answer)] == [
        "encounter created",
        "link created",
        "link opened",
        "access records exported",
    ]
    assert [row["who"] for row in rows(answer)] == ["Alice", "Alice", "The patient", "Alice"]
    assert [row["digest"] for row in rows(answer)] == list(
        AccessRecord.objects.values_list("digest", flat=True)
    )


@pytest.mark.parametrize("text", ['=HYPERLINK("x")', "+1", "-1", "@SUM(A1)"])
def test_no_cell_of_the_export_is_computed_by_a_spreadsheet(staff_client, alice, encounter, export, text):
    Caller(user=alice).record(Verb.ENCOUNTER_REVIEWED, encounter=encounter, reason=text)

    assert rows(staff_client.get(export))[1]["reason"] == f"'{text}"


def test_a_reason_is_shown_as_text(staff_client, alice, encounter, address):
    Caller(user=alice).record(
        Verb.ENCOUNTER_REVIEWED, encounter=encounter, reason="<script>alert(1)</script>"
    )

    assert "<script>alert" not in staff_client.get(address).content.decode()


@pytest.mark.parametrize("count", [1, 20])
def test_it_asks_the_database_as_often_for_many_records_as_for_one(
    staff_client, alice, encounter, address, django_assert_num_queries, count
):
    for _ in range(count):
        Caller(user=alice).record(Verb.ENCOUNTER_REVIEWED, encounter=encounter)
    staff_client.get(address)

    with django_assert_num_queries(6 + QUERIES_FOR_A_RECORD):
        staff_client.get(address)


def test_nobody_else_sees_it(charlies_client, admin_client, patient_client, address, export):
    for path in (address, export):
        assert charlies_client.get(path).status_code == 404
        assert patient_client.get(path).status_code == Client().get(path).status_code == 302


def test_it_is_only_looked_at(staff_client, address, export):
    assert staff_client.post(address).status_code == staff_client.post(export).status_code == 405


def test_a_conversion_that_is_tried_again_is_recorded(admin_client, admin, encounter):
    video = make_video(encounter, "IMG_0001.MOV", Status.FAILED)

    admin_client.post(f"/conversions/{video.job_id}/retry/")

    record = AccessRecord.objects.get(verb=Verb.CONVERSION_RETRIED)
    assert (record.user, record.video, record.encounter) == (admin, video, encounter)


def test_one_that_cannot_be_tried_again_is_not(admin_client, encounter):
    video = make_video(encounter, "IMG_0001.MOV", Status.QUEUED)

    assert admin_client.post(f"/conversions/{video.job_id}/retry/").status_code == 409
    assert not AccessRecord.objects.filter(verb=Verb.CONVERSION_RETRIED).exists()
