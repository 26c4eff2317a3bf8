"""The bucket itself: whose pages may send, and what it shows to nobody."""

import urllib.error
import urllib.request

import pytest
from django.core.files.storage import storages


def preflight(store, origin, method="PUT"):
    request = urllib.request.Request(
        f"{store.config.endpoint}/{store.bucket}/e5fa44f2b31/x.mov",
        method="OPTIONS",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "x-amz-checksum-sha256",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return _allowed(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return _allowed(error.headers)


def _allowed(headers):
    methods = headers.get("Access-Control-Allow-Methods", "")
    return headers.get("Access-Control-Allow-Origin"), sorted(methods.replace(" ", "").split(","))


def test_our_own_pages_may_send(store):
    assert preflight(store, "http://testserver") == ("http://testserver", ["GET", "HEAD", "PUT"])


@pytest.mark.parametrize(
    "origin", ["https://elsewhere.example", "null", "http://testserver.elsewhere.example"]
)
def test_pages_of_others_may_not(store, origin):
    allowed, _ = preflight(store, origin)

    assert allowed is None


def test_our_own_pages_may_not_delete(store):
    _, methods = preflight(store, "http://testserver", "DELETE")

    assert "DELETE" not in methods


@pytest.mark.parametrize("name", ["default", "playback"])
def test_django_s_storages_hand_out_signed_addresses_alone(store, name):
    address = storages[name].url("e5fa44f2b31/x.mp4")

    assert "X-Amz-Signature=" in address
    assert "X-Amz-Expires=900" in address


def test_django_s_storage_overwrites_nothing(store):
    store.put("e5fa44f2b31/x.mp4", b"first", "video/mp4")

    assert storages["default"].get_available_name("e5fa44f2b31/x.mp4") != "e5fa44f2b31/x.mp4"


def test_the_bucket_lists_nothing_to_strangers(store):
    store.put("e5fa44f2b31/x.mp4", b"first", "video/mp4")

    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"{store.config.endpoint}/{store.bucket}?list-type=2", timeout=10)
    assert refusal.value.code == 403
    refusal.value.close()
