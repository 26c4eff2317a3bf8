"""Derived states: the property and the filter must agree on every one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from encounters.models import Encounter, EncounterState, Invitation, Video, VideoState
from tests.encounters.support import make_video
from transcoding.models import Status


@pytest.fixture
def videos_by_state(encounter):
    return {
        VideoState.REMOVED: make_video(encounter, "removed", removed_at=timezone.now()),
        VideoState.DELETED: make_video(encounter, "deleted", Status.SUCCEEDED, removed_at=timezone.now()),
        VideoState.ERASED: make_video(
            encounter, "erased", Status.SUCCEEDED, removed_at=timezone.now(), erased_at=timezone.now()
        ),
        VideoState.UPLOADING: make_video(encounter, "uploading"),
        VideoState.WAITING: make_video(encounter, "waiting", Status.QUEUED),
        VideoState.CONVERTING: make_video(encounter, "converting", Status.RUNNING),
        VideoState.READY: make_video(encounter, "ready", Status.SUCCEEDED),
        VideoState.FAILED: make_video(encounter, "failed", Status.FAILED),
        VideoState.CANCELLED: make_video(encounter, "cancelled", Status.CANCELLED),
    }


def test_every_video_state_is_found_by_its_own_filter_alone(videos_by_state):
    assert set(videos_by_state) == set(VideoState)
    for state, video in videos_by_state.items():
        assert video.state == state
        assert list(Video.objects.in_state(state)) == [video]


def test_a_deleted_video_is_deleted_whatever_became_of_its_job(encounter):
    video = make_video(encounter, "gone", Status.SUCCEEDED, removed_at=timezone.now())

    assert video.state == VideoState.DELETED
    assert list(Video.objects.in_state(VideoState.DELETED)) == [video]
    assert not Video.objects.in_state(VideoState.READY).exists()


@pytest.fixture
def encounters_by_state(encounter):
    def make(*, invited=False, arrived=False, **times):
        made = Encounter.objects.create(
            team=encounter.team,
            patient=encounter.patient,
            created_by=encounter.created_by,
            what_to_film="x",
            **times,
        )
        if invited:
            Invitation.objects.create(
                encounter=made,
                token_hash=made.reference,
                channel="screen",
                created_by=encounter.created_by,
                expires_at=timezone.now() + timedelta(days=1),
            )
        if arrived:
            make_video(made, made.reference, Status.QUEUED)
        return made

    now = timezone.now()
    return {
        EncounterState.DRAFT: encounter,
        EncounterState.WAITING: make(invited=True),
        EncounterState.ARRIVED: make(invited=True, arrived=True),
        EncounterState.REVIEWED: make(invited=True, arrived=True, reviewed_at=now),
        EncounterState.CLOSED: make(arrived=True, reviewed_at=now, closed_at=now),
        EncounterState.WITHDRAWN: make(arrived=True, reviewed_at=now, closed_at=now, withdrawn_at=now),
    }


def test_every_encounter_state_is_found_by_its_own_filter_alone(encounters_by_state):
    assert set(encounters_by_state) == set(EncounterState)
    for state, encounter in encounters_by_state.items():
        assert encounter.state == state
        assert list(Encounter.objects.in_state(state)) == [encounter]


def test_the_worklist_s_annotations_give_the_same_state(encounters_by_state):
    listed = {encounter.pk: encounter.state for encounter in Encounter.objects.with_counts()}

    assert listed == {encounter.pk: state for state, encounter in encounters_by_state.items()}


def test_an_unfinished_upload_is_no_arrival(encounter):
    make_video(encounter, "uploading")

    assert encounter.state == EncounterState.DRAFT
    assert not Encounter.objects.in_state(EncounterState.ARRIVED).exists()
