"""What was begun before: the list on the patient's page, and the file that must be the same."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from encounters.models import Video, VideoState
from tests.encounters.support import (
    CONTENT,
    TWO_PARTS,
    announce,
    announcement,
    begin,
    checksum,
    complete,
    make_video,
    send,
    send_parts,
)
from tests.encounters.test_complete_upload import join_at_the_store

pytestmark = pytest.mark.usefixtures("store")
PRINT = announcement()["fingerprint"]
REDATED = PRINT[:32] + "0" * 32
OTHER = "0" * 32 + PRINT[32:]


def page(client):
    return client.get("/send/videos/").content.decode()


def test_the_page_lists_what_was_begun_and_how_much_has_arrived(consenting_client):
    upload = announce(consenting_client, TWO_PARTS).json()["id"]
    send_parts(consenting_client, upload, TWO_PARTS, numbers={1})

    shown = page(consenting_client)

    assert f'data-upload="{upload}"' in shown
    assert "IMG_0042.MOV" in shown
    assert "99 % is sent. Choose the same video again" in shown


def test_what_is_done_or_removed_is_not_on_the_list(consenting_client, upload):
    send(consenting_client, b"\0\0\0\x14ftypqt  done")
    consenting_client.delete(f"/uploads/{upload}/")

    assert "data-upload=" not in page(consenting_client)


def test_what_the_store_joined_already_is_whole(consenting_client, sent_upload, store):
    join_at_the_store(store)

    assert 'data-sent="1.0"' in page(consenting_client)


def test_what_the_store_forgot_is_not_promised(consenting_client, sent_upload, store):
    video = Video.objects.get()
    store.abort(video.source_key, video.upload_id)
    page(consenting_client)

    assert "data-upload=" not in page(consenting_client)


def test_with_a_dead_store_the_list_is_there_without_figures(consenting_client, upload, unreachable_store):
    shown = page(consenting_client)

    assert 'data-sent="unknown"' in shown
    assert "A part is sent." in shown


def test_another_patient_s_uploads_are_not_on_the_list(upload, other_patient_client):
    assert "data-upload=" not in page(other_patient_client)


def test_the_receipt_reminds_of_what_is_not_here_yet(consenting_client, encounter):
    make_video(encounter, "IMG_0042.MOV", upload_id="x")

    shown = consenting_client.get("/send/receipt/").content.decode()

    assert "1 video that you began to send is not here yet" in shown
    assert "Go on sending" in shown


def test_a_phone_that_dates_the_video_anew_continues_it(consenting_client, upload):
    answer = announce(consenting_client, fingerprint=REDATED)

    assert (answer.json()["id"], answer.json()["resumed"]) == (upload, True)


def test_of_two_that_begin_and_end_alike_the_one_of_the_same_date_is_continued(consenting_client, encounter):
    wanted = announce(consenting_client).json()["id"]
    key = f"{encounter.reference}/{'0' * 40}.mov"
    make_video(encounter, "later", fingerprint=REDATED, size=len(CONTENT), source_key=key)

    assert announce(consenting_client).json()["id"] == wanted


@pytest.mark.parametrize(
    "changes", [{"fingerprint": OTHER}, {"size": len(CONTENT) + 1}], ids=["bytes", "size"]
)
def test_another_video_of_the_same_name_is_refused_kindly(consenting_client, upload, changes):
    answer = announce(consenting_client, continues=upload, **changes)

    assert (answer.status_code, answer.json()["code"]) == (409, "another_file")
    assert answer.json()["message"].startswith("This is not the same video.")
    assert Video.objects.count() == 1


def test_the_same_video_is_taken_for_what_it_continues(consenting_client, upload):
    assert announce(consenting_client, continues=upload).json()["id"] == upload


def test_nobody_learns_of_another_patient_s_upload_by_continuing_it(upload, other_patient_client):
    for continues in (upload, str(uuid.uuid4())):
        answer = announce(other_patient_client, continues=continues)
        assert (answer.status_code, answer.json()["code"]) == (409, "another_file")


@pytest.mark.parametrize("continues", ["x", 7, [], {}], ids=repr)
def test_an_upload_that_makes_no_sense_is_not_continued(consenting_client, continues):
    assert announce(consenting_client, continues=continues).status_code == 400


def test_an_upload_stopped_by_the_patient_is_told_from_one_that_the_store_forgot(
    consenting_client, sent_upload, store
):
    video = Video.objects.get()
    store.abort(video.source_key, video.upload_id)
    forgotten = complete(consenting_client, sent_upload).json()
    consenting_client.delete(f"/uploads/{sent_upload}/")
    stopped = complete(consenting_client, sent_upload).json()

    assert (forgotten["code"], forgotten["stopped"]) == ("upload_gone", False)
    assert (stopped["code"], stopped["stopped"]) == ("upload_gone", True)


@pytest.mark.slow
def test_more_parts_than_the_store_lists_at_once_are_all_known(consenting_client, encounter, store):
    """S3 lists at most 1,000 parts at a time."""
    count, size = 1_010, 7
    contents = [os.urandom(size) for _ in range(count)]
    whole = b"".join(contents)
    upload = announce(consenting_client, whole).json()["id"]
    Video.objects.update(part_size=size)
    video = Video.objects.get()

    def put(number):
        store.client.upload_part(
            Bucket=store.bucket,
            Key=video.source_key,
            UploadId=video.upload_id,
            PartNumber=number,
            Body=contents[number - 1],
            ChecksumSHA256=checksum(contents[number - 1]),
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(1, count + 1)))

    parts = announce(consenting_client, whole).json()["parts"]

    assert [part["number"] for part in parts] == list(range(1, count + 1))
    assert {part["size"] for part in parts} == {size}
    assert video.state == VideoState.UPLOADING
    assert begin(consenting_client)
    assert consenting_client.get(f"/uploads/{upload}/").json()["parts"] == parts
