"""Text messages over SNS's wire format: moto stands in for it."""

import pytest

from encounters import sms
from tests.aws import tools

pytestmark = pytest.mark.slow


@pytest.fixture
def sns(tmp_path, settings, monkeypatch):
    for name, value in tools.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    settings.SMS_CARRIER = "sns"
    settings.SMS_REGION = "eu-west-1"
    with tools.moto_server(tmp_path) as address:
        settings.SMS_ENDPOINT = address
        yield


def test_a_message_is_taken_and_a_number_that_is_none_refused(sns, monkeypatch):
    sms.send(to="07700 900123", text="Agorwch https://videos.example/u/abc/")

    with pytest.raises(sms.NotSent, match="bad_number"):
        sms.Sns().send(to="07700 900123", text="not in E.164")
