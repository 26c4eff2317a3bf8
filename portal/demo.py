"""What the demo holds when it starts: a team, two people, an encounter to try and one to look at."""

import base64
import hashlib
import json
import secrets
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings

from encounters import consents, encounters, invitations, uploads, wordings
from encounters.callers import Caller
from encounters.models import Channel, Encounter, Invitation, Patient, Purpose
from encounters.offers import Offer
from portal import seaweed
from portal.accounts import invitations as invitations_of_staff
from portal.accounts.models import Role, Team, User
from transcoding.engine.binaries import find_ffmpeg
from transcoding.store import object_store

BARE = "    "
"""Begins each line of the table, so that it is printed without a process's name before it."""
BIRTH_DATE = date(1958, 3, 27)
START_SECONDS = 120


def wait_for_everything() -> None:
    """Return once the bucket is there, open to our own pages only, and the web server answers."""
    store = object_store()
    seaweed.wait_until_ready(store)
    store.allow_origins(_own_origins())
    store.forget_unfinished_after(settings.UPLOAD_FORGET_DAYS)
    deadline = time.monotonic() + START_SECONDS
    while not _web_answers():
        if time.monotonic() > deadline:
            raise TimeoutError("The web server did not start.")
        time.sleep(0.2)


def _own_origins() -> list[str]:
    """Loopback has two spellings, and people type both."""
    origins = {settings.BASE_URL}
    if "127.0.0.1" in settings.BASE_URL:
        origins.add(f"http://localhost:{settings.PORT}")
    return sorted(origins)


def _web_answers() -> bool:
    try:
        with urllib.request.urlopen(f"{settings.BASE_URL}/healthz", timeout=2) as answer:  # noqa: S310 - ours
            return bool(answer.status == 200)  # noqa: PLR2004 - OK
    except OSError:
        return False


def seed() -> dict[str, Any]:
    """Add what is missing and give the way in; writes the same to `var/demo.json`."""
    path = settings.VAR_DIR / "demo.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    team, _ = Team.objects.get_or_create(code="neurology", defaults={"name": "Neurology outpatients"})
    clinician = _person("clinician", "Dr Robin Hale", Role.CLINICIAN, before)
    admin = _person("admin", "Jo Lindqvist", Role.ADMIN, before)
    User.objects.get(email=clinician["email"]).teams.add(team)
    caller = Caller(user=User.objects.get(email=clinician["email"]))
    access = {
        "base_url": settings.BASE_URL,
        "patient": _way_in(caller, team, before.get("patient", {})),
        "clinician": clinician,
        "admin": admin,
        "s3": {
            "endpoint": settings.S3_PUBLIC_ENDPOINT,
            "bucket": settings.S3_BUCKET,
            "access_key": settings.S3_ACCESS_KEY,
            "secret_key": settings.S3_SECRET_KEY,
        },
    }
    _something_to_see(caller, team)
    _write(path, access)
    return access


def _person(key: str, name: str, role: Role, before: dict[str, Any]) -> dict[str, str]:
    email = f"{key}@clinic.example"
    password = before.get(key, {}).get("password") or secrets.token_urlsafe(12)
    user = User.objects.filter(email=email).first()
    if user is None:
        is_admin = role == Role.ADMIN
        user = User.objects.create_user(
            email, password, name=name, role=role, is_staff=is_admin, is_superuser=is_admin
        )
    elif not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    invitations_of_staff.trust_address(user)
    return {"email": email, "password": password}


def _way_in(caller: Caller, team: Team, before: dict[str, str]) -> dict[str, str]:
    """A link that works: the one from last time if it still does."""
    token = before.get("link", "").rstrip("/").rpartition("/")[2]
    if token and Invitation.for_token(token):
        return {"link": invitations.link_to(token), "birth_date": BIRTH_DATE.isoformat()}
    encounter = _encounter(
        caller,
        team,
        Patient(
            record_number="D-1001",
            given_name="Rosa",
            family_name="Marsh",
            birth_date=BIRTH_DATE,
            email="rosa.marsh@mail.example",
        ),
        "Please film your hands while you hold them out for ten seconds, then while you drink from a cup.",
    )
    link = invitations.invite(caller=caller, encounter=encounter, channel=Channel.SCREEN)
    return {"link": link, "birth_date": BIRTH_DATE.isoformat()}


def _encounter(caller: Caller, team: Team, patient: Patient, what_to_film: str) -> Encounter:
    known = Patient.objects.numbered(team, patient.record_number).first()
    return encounters.open_encounter(
        caller=caller, team=team, patient=known or patient, what_to_film=what_to_film
    )


def _something_to_see(caller: Caller, team: Team) -> None:
    """A second encounter, whose generated clip the worker converts as soon as it starts."""
    if Patient.objects.numbered(team, "D-1002").exists():
        return
    patient = Patient(
        record_number="D-1002", given_name="Idris", family_name="Cole", birth_date=date(1971, 11, 9)
    )
    encounter = _encounter(caller, team, patient, "Please film how you walk, from the front and the side.")
    consents.give(
        caller=caller,
        encounter=encounter,
        wording=wordings.current(team, settings.LANGUAGE_CODE),
        purposes=[Purpose.DIAGNOSIS, Purpose.RECORD],
    )
    invitations.describe(caller=caller, encounter=encounter, description="It is worse in the morning.")
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mov"
        generate_clip(clip)
        send_file(caller=caller, encounter=encounter, path=clip, filename="IMG_0001.MOV")


def generate_clip(path: Path) -> None:
    """A portrait clip of six seconds with a moving test picture and a tone."""
    command = [
        str(find_ffmpeg().path), "-nostdin", "-v", "error", "-y",
        "-f", "lavfi", "-i", "testsrc2=size=720x1280:rate=30:duration=6",
        "-f", "lavfi", "-i", "sine=frequency=330:duration=6",
        "-c:v", "libx264", "-preset", "superfast", "-pix_fmt", "yuv420p", "-c:a", "aac",
        "-f", "mov", str(path),
    ]  # fmt: skip
    subprocess.run(command, check=True)


def send_file(*, caller: Caller, encounter: Encounter, path: Path, filename: str) -> None:
    """Upload a file as a browser does: announce it, PUT its parts to presigned addresses, complete it."""
    content = path.read_bytes()
    offer = Offer(
        filename=filename,
        size=len(content),
        content_type="video/quicktime",
        fingerprint=hashlib.sha256(content).hexdigest(),
    )
    video, _ = uploads.start(caller=caller, encounter=encounter, offer=offer)
    for number in range(1, video.part_count + 1):
        part = content[(number - 1) * video.part_size : number * video.part_size]
        checksum = base64.b64encode(hashlib.sha256(part).digest()).decode()
        (permission,) = uploads.sign(video=video, wanted=[(number, checksum)])
        request = urllib.request.Request(  # noqa: S310 - our own store
            permission.url, data=part, headers=permission.headers, method="PUT"
        )
        urllib.request.urlopen(request, timeout=60).close()  # noqa: S310
    uploads.complete(caller=caller, video=video)


def _write(path: Path, access: dict[str, Any]) -> None:
    draft = path.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(access, indent=2) + "\n")
    draft.replace(path)


def announce(access: dict[str, Any], write: Callable[[str], Any]) -> None:
    """Print the way in as a short table."""
    rows = [
        ("", ""),
        ("Patient's link", access["patient"]["link"]),
        ("  date of birth", BIRTH_DATE.strftime("%-d %B %Y")),
        ("Staff", access["base_url"]),
        ("  clinician", "{email}  {password}".format(**access["clinician"])),
        ("  admin", "{email}  {password}".format(**access["admin"])),
        ("Mail", str(settings.VAR_DIR / "mail")),
        ("Text messages", str(settings.VAR_DIR / "sms")),
        ("Stop", "Ctrl-C"),
        ("", ""),
    ]
    for label, value in rows:
        write(f"{BARE}{label:<17} {value}")
