"""Names that leave the database."""

import re

import pytest

from encounters.keys import CONTENT_TYPES, extension_of, new_source_key, new_token, token_hash
from transcoding.engine import keys


@pytest.mark.parametrize(
    ("filename", "content_type", "extension"),
    [
        ("IMG_0001.MOV", "video/quicktime", "mov"),
        ("clip.mp4", "", "mp4"),
        ("clip.MP4", "application/octet-stream", "mp4"),
        ("clip", "video/mp4", "mp4"),
        ("clip", "VIDEO/MP4", "mp4"),
        ("clip", "video/webm;codecs=vp9", "webm"),
        ("clip.tmp", "video/3gpp", "3gp"),
        ("video:1000", "video/quicktime", "mov"),
        ("clip.pdf", "application/pdf", None),
        ("clip.mov.exe", "", None),
        ("mov", "", None),
        ("", "", None),
        ("clip.mov/", "text/html", "mov"),
        ("clip", "video/unheard-of", None),
    ],
)
def test_an_extension_comes_from_the_list_or_there_is_none(filename, content_type, extension):
    assert extension_of(filename, content_type) == extension


@pytest.mark.parametrize("extension", CONTENT_TYPES)
def test_each_type_leads_to_an_extension_of_that_type(extension):
    content_type = CONTENT_TYPES[extension]

    assert CONTENT_TYPES[extension_of("clip", content_type)] == content_type


def test_keys_are_random():
    keys = {new_source_key("e5fa44f2b31", "mov") for _ in range(50)}

    assert len(keys) == 50
    assert all(re.fullmatch(r"e5fa44f2b31/[0-9a-f]{40}\.mov", key) for key in keys)


def test_tokens_are_long_and_fit_into_an_address():
    tokens = {new_token() for _ in range(50)}

    assert len(tokens) == 50
    assert all(re.fullmatch(r"[\w-]{32}", token) for token in tokens)


def test_a_token_s_hash_is_no_way_back_to_it():
    assert re.fullmatch(r"[0-9a-f]{64}", token_hash("token"))
    assert token_hash("token") != token_hash("Token")


def test_every_key_that_we_make_is_one_that_the_function_takes():
    assert set(CONTENT_TYPES) == set(keys.EXTENSIONS)
    for extension in CONTENT_TYPES:
        assert keys.is_source(new_source_key("e5fa44f2b31c0d99", extension))
