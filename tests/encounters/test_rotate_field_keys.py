"""An operator moves everything to a new key while the portal runs."""

import io

import pytest
from django.core.management import CommandError, call_command

from encounters import encryption, rotation
from encounters.models import Encounter, Patient, SearchTerm, Video
from tests.encounters.support import make_video

pytestmark = pytest.mark.django_db


@pytest.fixture
def keys(settings):
    """`keys("b", "a")`: these are given, the first is the present one."""

    def give(*names):
        settings.FIELD_KEYS = {name: f"{name} field " * 8 for name in names}
        settings.FIELD_INDEX_KEYS = {name: f"{name} index " * 8 for name in names}

    give("a")
    return give


@pytest.fixture
def rows(keys, encounter):
    Encounter.objects.update(description="It is worse in the morning.")
    for number in range(5):
        make_video(encounter, f"clip {number}.mov")


def rotate(*options):
    out, errors = io.StringIO(), io.StringIO()
    call_command("rotate_field_keys", *options, stdout=out, stderr=errors)
    return out.getvalue()


def used():
    """The names of all keys under which anything is."""
    names = {
        key
        for model, fields in rotation.encrypted_fields()
        for field in fields
        for key in rotation.keys_of(model, field)
    }
    return names | set(rotation.index_keys())


def raw(model, name):
    field = model._meta.get_field(name)
    return list(model.objects.annotate(stored=field.raw).order_by("pk").values_list("stored", flat=True))


def test_afterwards_the_old_key_is_not_needed(rows, keys, staff_client, team):
    keys("b", "a")

    assert "Nothing needs these keys any more: a, a." in rotate("--batch", "2")

    keys("b")
    assert used() == {"b"}
    patient = Patient.objects.get()
    assert (patient.name, patient.email) == ("Rosalind Quillfeather", "rosalind@quillfeather.example")
    assert [video.original_name for video in Video.objects.order_by("created_at")][-1] == "clip 4.mov"
    assert Patient.objects.numbered(team, "R-17").get() == patient
    assert len(staff_client.post("/find/", {"q": "quill"}, follow=True).context["page"]) == 1


def test_before_it_has_run_everything_is_found_and_read_all_the_same(rows, keys, staff_client, team):
    keys("b", "a")

    page = staff_client.post("/find/", {"q": "quill"}, follow=True).content.decode()

    assert "Quillfeather, Rosalind" in page
    assert Patient.objects.numbered(team, "R-17").exists()


def test_a_second_run_changes_nothing(rows, keys):
    keys("b", "a")
    rotate()
    before = (
        raw(Patient, "given_name"),
        raw(Video, "original_name"),
        set(SearchTerm.objects.values_list("pk")),
    )

    rotate()

    assert (raw(Patient, "given_name"), raw(Video, "original_name")) == before[:2]
    assert set(SearchTerm.objects.values_list("pk")) == before[2]


def test_stopped_in_the_middle_it_goes_on_where_it_was(rows, keys, monkeypatch):
    keys("b", "a")
    move, moved = rotation._move, []

    def stop_in_the_second_row(*args):
        if len(moved) == 7:
            raise KeyboardInterrupt
        moved.append(args)
        return move(*args)

    monkeypatch.setattr(rotation, "_move", stop_in_the_second_row)
    with pytest.raises(KeyboardInterrupt):
        rotate("--batch", "1")
    monkeypatch.undo()
    assert used() == {"a", "b"}

    keys("b", "a")
    rotate()

    assert used() == {"b"}


def test_what_the_portal_writes_meanwhile_is_kept(rows, keys, monkeypatch):
    keys("b", "a")
    decrypt = encryption.decrypt

    def somebody_writes(stored, *, place):
        if place == "encounters_encounter.description":
            Encounter.objects.update(description="Better now.")
        return decrypt(stored, place=place)

    monkeypatch.setattr(encryption, "decrypt", somebody_writes)
    rotate()
    monkeypatch.undo()
    keys("b")

    assert Encounter.objects.get().description == "Better now."


def test_what_nobody_can_read_is_named_left_alone_and_an_error(rows, keys):
    keys("b", "a")
    lost = Video.objects.order_by("pk")[0]
    keys("c")
    Video.objects.filter(pk=lost.pk).update(original_name="x.mov")
    keys("b", "a")
    errors = io.StringIO()

    with pytest.raises(CommandError, match="1 values"):
        call_command("rotate_field_keys", stdout=io.StringIO(), stderr=errors)

    assert str(lost.pk) in errors.getvalue()
    assert used() == {"b", "c"}


def test_a_check_only_says_what_is_where(rows, keys):
    keys("b", "a")

    with pytest.raises(CommandError):
        rotate("--check")

    assert used() == {"a"}
