"""What the demo holds when it starts."""

import io
import json

import pytest
from django.core.management import call_command
from django.test import Client

from encounters.models import Encounter, Invitation, Patient, VideoState
from portal import demo
from portal.accounts.models import Role, Team, User
from tests.conftest import give_birth_date, tasks_waiting

pytestmark = pytest.mark.django_db


@pytest.fixture
def seeded(store, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    return demo.seed()


def test_everybody_gets_in_by_what_is_written_and_shown(seeded, tmp_path, store):
    path, table = tmp_path / "demo.json", []
    demo.announce(seeded, table.append)

    assert json.loads(path.read_text()) == seeded
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(seeded) == {"base_url", "patient", "clinician", "admin", "s3"}
    assert (seeded["patient"]["birth_date"], seeded["s3"]["bucket"]) == ("1958-03-27", store.bucket)
    for role in (Role.CLINICIAN, Role.ADMIN):
        access = seeded[role.value]
        given = {"login": access["email"], "password": access["password"]}
        assert Client().post("/accounts/login/", given).status_code == 302
        assert User.objects.get(email=access["email"]).role == role
        assert access["password"] in "".join(table)
    patient = Client()
    give_birth_date(patient, seeded["patient"]["link"].removeprefix("http://testserver"))
    assert patient.get("/send/consent/").status_code == 200
    assert seeded["patient"]["link"] in "".join(table)
    assert "27 March 1958" in "".join(table)


def test_starting_again_keeps_what_was_there(seeded, store):
    again = demo.seed()

    team = Team.objects.get()
    (video,) = Encounter.objects.get(patient=Patient.objects.numbered(team, "D-1002").get()).videos.all()
    assert again == seeded
    assert (Encounter.objects.count(), Invitation.objects.count(), User.objects.count()) == (2, 1, 2)
    assert video.state == VideoState.WAITING
    assert tasks_waiting() == [(str(video.job.pk),)]
    assert store.size(video.source_key) == video.size


def test_a_lost_file_makes_new_passwords_that_work(seeded, tmp_path):
    (tmp_path / "demo.json").unlink()

    again = demo.seed()

    access = again["clinician"]
    assert access["password"] != seeded["clinician"]["password"]
    assert User.objects.get(email=access["email"]).check_password(access["password"])


def test_the_demo_s_modules_find_each_other_once_their_names_are_hashed(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "portal.storage.HashedStaticFiles"},
    }

    call_command("collectstatic", interactive=False, verbosity=0, stdout=io.StringIO())

    names = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
    for page, imported in [("upload_page.js", "uploader.js"), ("uploader.js", "sha256.js")]:
        content = (tmp_path / names[f"encounters/{page}"]).read_text()
        assert names[f"encounters/{imported}"].rpartition("/")[2] in content
        assert f'"./{imported}"' not in content
