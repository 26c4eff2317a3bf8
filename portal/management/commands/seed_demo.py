from typing import Any

from django.core.management.base import BaseCommand

from portal import demo


class Command(BaseCommand):
    help = "Wait for the demo's store and web server, seed what is missing, print how to get in."

    def handle(self, *args: Any, **options: Any) -> None:
        demo.wait_for_everything()
        access = demo.seed()
        demo.announce(access, self.stdout.write)
