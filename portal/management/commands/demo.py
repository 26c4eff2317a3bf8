"""`make demo`: the whole product on this machine, until Ctrl-C. Starting again keeps what was there."""

import os
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse
from honcho.manager import Manager
from honcho.printer import Printer

from portal import seaweed
from portal.demo import BARE

LOOPBACK = "127.0.0.1"
RESTART = "while :; do {command}; sleep 1; done"


class DemoPrinter(Printer):  # type: ignore[misc]
    """honcho's printer, which leaves the table of addresses and passwords without its prefix."""

    def write(self, message: Any) -> None:
        text = message.data if isinstance(message.data, str) else message.data.decode(errors="replace")
        if text.startswith(BARE):
            self.output.write(text)
            self.output.flush()
        else:
            super().write(message)


class Command(BaseCommand):
    help = "Run store, web server and workers on this machine. PORT, S3_PORT, HOST and VAR_DIR choose where."
    requires_system_checks = ["transcoding"]

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("These are not the demo's settings: DEMO is false.")
        host = os.environ.get("HOST", LOOPBACK)
        store_port = settings.S3_PORT if host == LOOPBACK else seaweed.free_port()
        self._environment(_reachable(host), store_port)
        for port in (settings.PORT, settings.S3_PORT):
            _must_be_free(port)
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        manager = Manager(DemoPrinter(sys.stdout))
        for name, command in self._processes(host, store_port).items():
            manager.add_process(name, command, env=dict(os.environ), cwd=str(settings.BASE_DIR))
        manager.loop()
        sys.exit(0 if manager.returncode in {130, 143} else manager.returncode)

    def _environment(self, address: str, store_port: int) -> None:
        """What the processes need to know beyond their own defaults."""
        os.environ["S3_ENDPOINT"] = f"http://{LOOPBACK}:{store_port}"
        os.environ["BASE_URL"] = f"http://{address}:{settings.PORT}"
        os.environ["S3_PUBLIC_ENDPOINT"] = f"http://{address}:{settings.S3_PORT}"
        os.environ["PYTHONUNBUFFERED"] = "1"

    def _processes(self, host: str, store_port: int) -> dict[str, str]:
        python = shlex.quote(sys.executable)
        manage = f"{python} manage.py"
        folder: Path = settings.VAR_DIR / "store"
        folder.mkdir(parents=True, exist_ok=True)
        seaweed.tell_of_arrivals(
            folder,
            bucket=settings.S3_BUCKET,
            endpoint=os.environ["BASE_URL"] + reverse("store_event"),
            secret=settings.STORE_EVENTS_SECRET,
        )
        here = shlex.quote(str(folder))
        store = shlex.join(seaweed.arguments(folder, port=store_port, bucket=settings.S3_BUCKET))
        keys = f"AWS_ACCESS_KEY_ID={settings.S3_ACCESS_KEY} AWS_SECRET_ACCESS_KEY={settings.S3_SECRET_KEY}"
        web = (
            f"{python} -m uvicorn portal.asgi:application --host {shlex.quote(host)} --port {settings.PORT}"
            " --no-access-log --log-level warning --lifespan off --timeout-graceful-shutdown 3"
        )
        processes = {
            "store": RESTART.format(command=f"cd {here} && {keys} {store} >{here}.log 2>&1"),
            "web": RESTART.format(command=web),
            "tasks": RESTART.format(command=f"{manage} qcluster"),
            "worker": f"{manage} seed_demo && "
            + RESTART.format(command=f"Q_CLUSTER_NAME=video {manage} qcluster"),
        }
        if host != LOOPBACK:
            listen, target = f"{shlex.quote(host)} {settings.S3_PORT}", f"{LOOPBACK} {store_port}"
            processes["relay"] = RESTART.format(command=f"{python} -m portal.relay {listen} {target}")
        return processes


def _reachable(host: str) -> str:
    """The address at which a phone on the same network finds this machine."""
    if host != "0.0.0.0":  # noqa: S104 - compared, not bound
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Connecting a datagram socket sends nothing; it only chooses the way out. RFC 5737 address.
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
        return address


def _must_be_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} is taken. Is a demo running already? "
                "Choose others: PORT=8010 S3_PORT=8343 make demo"
            ) from error
