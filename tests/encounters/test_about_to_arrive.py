"""The card of a video whose last parts are under way."""

from datetime import timedelta

import pytest
from django.utils import timezone

from encounters.models import UploadPart, Video
from tests.encounters.support import make_video

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("signed", "minutes_ago", "often"),
    [(20, 0, True), (12, 0, True), (11, 0, False), (20, 10, False)],
    ids=["last part under way", "64 MiB left", "more left", "sender gone"],
)
def test_it_looks_often_only_while_the_last_parts_are_under_way(
    staff_client, encounter, signed, minutes_ago, often
):
    video = make_video(encounter, "IMG_0042.MOV", size=19 * 8 * 1024**2 + 1, part_size=8 * 1024**2)
    UploadPart.objects.create(video=video, number=signed, sha256="x" * 44)
    Video.objects.update(active_at=timezone.now() - timedelta(minutes=minutes_ago))

    page = staff_client.get(f"/videos/{video.pk}/", headers={"HX-Request": "true"}).content.decode()

    assert f'hx-trigger="every {"500ms" if often else "2s"}"' in page
