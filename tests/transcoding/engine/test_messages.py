"""What a person reads when a video could not be used."""

import pytest

from transcoding.engine.contracts import FailureCode
from transcoding.engine.messages import explain


@pytest.mark.parametrize("code", FailureCode)
def test_every_code_has_short_plain_sentences(code):
    sentences = explain(code)
    assert sentences.endswith(".")
    assert 5 <= len(sentences.split()) <= 40
    assert max(len(sentence.split()) for sentence in sentences.split(". ")) <= 20


@pytest.mark.parametrize("code", FailureCode)
def test_no_sentence_needs_technical_knowledge(code):
    words = explain(code).lower()
    assert not [
        term for term in ("codec", "stream", "error", "format", "byte", "mp4", "ffmpeg") if term in words
    ]


@pytest.mark.parametrize("code", set(FailureCode) - {FailureCode.WORKER_LOST})
def test_every_sentence_says_what_to_do(code):
    assert "please" in explain(code).lower()
