"""What machines ask."""

import pytest
from django.db import OperationalError, connection
from django.test import Client

pytestmark = pytest.mark.django_db


def test_the_process_answers(unreachable_store):
    answer = Client().get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_it_is_ready_when_database_and_bucket_are(store):
    answer = Client().get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"database": True, "bucket": True})


def test_without_its_bucket_it_is_not(unreachable_store):
    answer = Client().get("/readyz")

    assert (answer.status_code, answer.json()) == (503, {"database": True, "bucket": False})


def test_without_its_database_it_is_not(store, monkeypatch):
    def break_down():
        raise OperationalError

    monkeypatch.setattr(connection, "ensure_connection", break_down)

    answer = Client().get("/readyz")

    assert (answer.status_code, answer.json()) == (503, {"database": False, "bucket": True})


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_they_are_only_looked_at(store, path):
    assert Client().head(path).status_code == 200
    assert Client().post(path).status_code == 405
