from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from encounters import custody
from encounters.models import Video
from transcoding.engine.store import StoreError


class Command(BaseCommand):
    help = (
        "Compute the digests of originals and of what was made from them anew. Exits with 1 if one differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("video", nargs="*", type=UUID, help="ids; without any, all that were received")

    def handle(self, *args: Any, video: list[UUID], **options: Any) -> None:
        every = Video.objects.select_related("job", "encounter").order_by("created_at", "pk")
        videos = every.received()
        if video:
            videos = every.filter(pk__in=video, received_at__isnull=False)
            if videos.count() != len(set(video)):
                raise CommandError("One of these videos does not exist, or was never received.")
        found = checked = 0
        try:
            for one in videos.iterator():
                for problem in custody.problems(one):
                    self.stderr.write(f"{one.pk}: {problem}")
                    found += 1
                checked += 1
        except StoreError as error:
            raise CommandError(
                f"The store does not answer: {error.code}. {checked} videos checked."
            ) from error
        if found:
            raise CommandError(f"{found} objects are not what was recorded, in {checked} videos.")
        erased = videos.filter(erased_at__isnull=False).count()
        self.stdout.write(f"{checked} videos, each as recorded{f'; {erased} erased' if erased else ''}.")
