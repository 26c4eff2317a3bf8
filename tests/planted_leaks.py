"""Not tests: what `portal/test_leaks.py` has the scan find. Each leaves something behind on one way."""

import logging

import pytest
from django.core.mail import send_mail
from django_q.tasks import async_task

from encounters.callers import Caller
from encounters.models import Verb
from tests import leaks
from tests.encounters.support import make_video
from transcoding.models import Status

pytestmark = pytest.mark.django_db
logger = logging.getLogger("planted")


def test_clean(encounter, link, alice):
    logger.info("encounter %s", encounter.reference, extra={"path": link})
    Caller(user=alice).record(Verb.ENCOUNTER_REVIEWED, encounter=encounter, reason="undone")


def test_name_in_a_log_line(encounter):
    logger.info("opened for %s", encounter.patient.name)


def test_birth_date_in_an_extra(encounter):
    logger.info("opened", extra={"born": encounter.patient.birth_date})


def test_token_in_a_log_line(link):
    logger.info("token %s", link.split("/")[2])


def test_file_name_in_an_exception(encounter):
    video = make_video(encounter, "Rosalind walks.MOV", Status.SUCCEEDED)
    try:
        int(video.original_name)
    except ValueError:
        logger.exception("broken")


def test_name_in_a_reason(encounter, alice):
    Caller(user=alice).record(Verb.ENCOUNTER_REVIEWED, encounter=encounter, reason="quillfeather came in")


def test_name_in_a_message(encounter):
    send_mail("Arrived", f"{encounter.patient.name} has sent a video.", None, ["alice@clinic.example"])


def test_token_in_a_message_to_somebody_else(link):
    send_mail("Arrived", f"See http://testserver{link}", None, ["alice@clinic.example"])


def test_name_in_an_object_key(encounter, store):
    store.put("e5fa/Quillfeather.mov", b"x", "video/quicktime")


def test_name_in_output(encounter):
    print(encounter.patient.name)  # noqa: T201 - that is the leak


def test_name_in_a_queued_task(encounter):
    async_task("encounters.notices.tell", "quillfeather")


def test_date_of_birth_in_what_a_demo_wrote(tmp_path):
    (tmp_path / "output.log").write_text("    date of birth 8 February 1949\nweb: born 1949-02-08\n")
    leaks.left_by_demo(tmp_path, [])
