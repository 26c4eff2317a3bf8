"""Settings come from the environment; nonsense fails at once, in a sentence that names the variable."""

import os
import runpy
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

PRODUCTION = {
    "DEMO": "false",
    "BASE_URL": "https://videos.example.org",
    "SECRET_KEY": "k" * 60,
    "FIELD_KEYS": f"2026:{'f' * 32}",
    "FIELD_INDEX_KEYS": f"2026:{'i' * 32}",
    "DATABASE_URL": "postgres://portal:secret@db.example.org/portal",
    "EMAIL_URL": "smtp://mail.example.org:25",
    "DEFAULT_FROM_EMAIL": "videos@example.org",
    "S3_BUCKET": "clinic-videos",
}
OF_THE_TESTS = ("DEMO", "VAR_DIR", "PORT", "S3_PORT", "BASE_URL", "LOG_LEVEL", "DATABASE_URL")
CHECK = (
    "from django.core.management import execute_from_command_line as run;"
    "run(['manage.py', 'check', '--deploy', '--fail-level', 'INFO'])"
)


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """`chosen(NAME="value")`: the settings in an environment that says this and nothing else."""

    def run(folder=tmp_path, **environment):
        with monkeypatch.context() as patch:
            for name in OF_THE_TESTS:
                patch.delenv(name, raising=False)
            patch.setenv("VAR_DIR", str(folder))
            for name, value in environment.items():
                patch.setenv(name, value)
            return runpy.run_path(str(settings.BASE_DIR / "portal" / "settings.py"))

    return run


@pytest.fixture
def complaint(chosen):
    """`complaint(NAME="value")`: the sentence with which the settings refuse to load."""

    def run(**environment):
        with pytest.raises(ImproperlyConfigured) as refusal:
            chosen(**environment)
        return str(refusal.value)

    return run


def start(code, folder, **environment):
    """Run it in a process of its own, with the settings of this environment."""
    inherited = {name: value for name, value in os.environ.items() if name not in OF_THE_TESTS}
    given = {"DJANGO_SETTINGS_MODULE": "portal.settings", "VAR_DIR": str(folder), **environment}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**inherited, **given},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def only(found, *names):
    return {name: found[name] for name in names}


def test_without_any_it_is_the_demo(chosen):
    found = chosen()

    assert only(found, "DEMO", "DEBUG", "BASE_URL", "S3_ENDPOINT", "S3_BUCKET", "S3_ADDRESSING") == {
        "DEMO": True,
        "DEBUG": False,
        "BASE_URL": "http://127.0.0.1:8000",
        "S3_ENDPOINT": "http://127.0.0.1:8333",
        "S3_BUCKET": "videos",
        "S3_ADDRESSING": "path",
    }
    assert set(found["ALLOWED_HOSTS"]) == {"127.0.0.1", "localhost"}


def test_its_secrets_are_made_and_not_constants(chosen, tmp_path):
    names = ("SECRET_KEY", "S3_ACCESS_KEY", "S3_SECRET_KEY", "FIELD_KEYS", "FIELD_INDEX_KEYS")
    one, again, two = (only(chosen(tmp_path / folder), *names) for folder in ("one", "one", "two"))

    assert one == again
    assert all(one[name] != two[name] for name in names)


def test_ports_move_the_addresses_along(chosen):
    found = chosen(PORT="8010", S3_PORT="8343")

    assert found["BASE_URL"] == "http://127.0.0.1:8010"
    assert found["S3_ENDPOINT"] == found["S3_PUBLIC_ENDPOINT"] == "http://127.0.0.1:8343"


def test_production_is_strict(chosen):
    expected = {
        "DEBUG": False,
        "ALLOWED_HOSTS": ["videos.example.org"],
        "CSRF_TRUSTED_ORIGINS": ["https://videos.example.org"],
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 63_072_000,
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_NAME": "__Host-session",
        "CSRF_COOKIE_SECURE": True,
        "CSRF_COOKIE_NAME": "__Host-csrf",
        "S3_ADDRESSING": "virtual",
        "S3_ACL": "",
        "S3_ACCESS_KEY": None,
        "KEYS": {},
        "SECURE_PROXY_SSL_HEADER": None,
    }

    assert only(chosen(**PRODUCTION), *expected) == expected


def test_on_aws_browsers_may_reach_the_bucket_s_own_host(chosen):
    found = chosen(**PRODUCTION, S3_REGION="eu-west-2")

    sources = found["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]["connect-src"]
    assert "https://clinic-videos.s3.eu-west-2.amazonaws.com" in sources


def test_yes_and_no_have_several_spellings(chosen):
    assert [chosen(DEBUG=word)["DEBUG"] for word in ("1", "yes", "On", "TRUE")] == [True] * 4
    assert [chosen(DEBUG=word)["DEBUG"] for word in ("0", "no", "Off", "false")] == [False] * 4


def test_a_queued_conversion_may_outlast_ffmpeg_s_own_limit(chosen):
    video = chosen(FFMPEG_TIMEOUT="100")["Q_CLUSTER"]["ALT_CLUSTERS"]["video"]

    assert video["timeout"] > 100
    assert video["retry"] >= 3 * video["timeout"]


@pytest.mark.parametrize(
    "name",
    [
        "BASE_URL",
        "SECRET_KEY",
        "FIELD_KEYS",
        "FIELD_INDEX_KEYS",
        "DATABASE_URL",
        "EMAIL_URL",
        "DEFAULT_FROM_EMAIL",
        "S3_BUCKET",
    ],
)
def test_production_does_not_start_without(complaint, name):
    assert name in complaint(**{key: value for key, value in PRODUCTION.items() if key != name})


def test_several_secrets_may_hold_at_once(chosen):
    first, second = "a" * 32, "b:" * 16
    given = chosen(TRANSCODE_RUNNER="lambda", LAMBDA_FUNCTION="f", CALLBACK_KEYS=f"one:{first}, two:{second}")
    assert given["CALLBACK_KEYS"] == {"one": first, "two": second}


def test_production_leaves_no_keys_on_the_disk(chosen, tmp_path):
    chosen(tmp_path / "var", **PRODUCTION)

    assert not (tmp_path / "var" / "keys.json").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEMO", "maybe"),
        ("DEMO", ""),
        ("DEBUG", "ture"),
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "-1"),
        ("PORT", "80.5"),
        ("S3_PORT", ""),
        ("TRANSCODE_RUNNER", "cloud"),
        ("TRANSCODE_RUNNER", "lambda"),
        ("LAMBDA_TRIGGER", "hope"),
        ("LAMBDA_ENDPOINT", "127.0.0.1"),
        ("CALLBACK_KEYS", "only-a-secret-of-at-least-thirty-two-characters"),
        ("CALLBACK_KEYS", "name:short"),
        ("FIELD_KEYS", ""),
        ("FIELD_KEYS", "k" * 40),
        ("FIELD_KEYS", "new:short"),
        ("FIELD_KEYS", f"{'n' * 41}:{'k' * 40}"),
        ("FIELD_KEYS", f"one:{'k' * 40},one:{'l' * 40}"),
        ("FIELD_INDEX_KEYS", " , "),
        ("LIVE_STREAMS", "-1"),
        ("BASE_URL", "videos.example.org"),
        ("BASE_URL", "https://videos.example.org/portal"),
        ("BASE_URL", "ftp://videos.example.org"),
        ("SECRET_KEY", "short"),
        ("TRUSTED_PROXIES", "yes"),
        ("S3_ADDRESSING", "dns"),
        ("S3_ENCRYPTION", "none"),
        ("S3_ENDPOINT", "localhost:8333"),
        ("S3_PUBLIC_ENDPOINT", "localhost"),
        ("MP4_KEY_STYLE", "fancy"),
        ("PLAYBACK_URL_SECONDS", "5"),
        ("UPLOAD_MAX_BYTES", "5 GB"),
        ("UPLOAD_RESUME_DAYS", "13"),
        ("STORE_EVENTS_SECRET", "short"),
        ("LEASE_SECONDS", "6"),
        ("HEARTBEAT_SECONDS", "20"),
        ("MAX_ATTEMPTS", "0"),
        ("VIDEO_WORKERS", "none"),
        ("FFMPEG_TIMEOUT", "1h"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "oracel://db"),
        ("EMAIL_URL", "nonsense"),
        ("CACHE_URL", "nonsense"),
        ("TIME_ZONE", "Atlantis/Capital"),
        ("LOG_LEVEL", "LOUD"),
        ("MFA_REQUIRED", "perhaps"),
        ("STAFF_IDLE_MINUTES", "1"),
        ("STAFF_SESSION_HOURS", "0"),
    ],
)
def test_nonsense_is_refused_by_name(complaint, name, value):
    assert name in complaint(**{name: value})


def test_debug_pages_are_for_the_demo_alone(complaint):
    assert "DEBUG" in complaint(**PRODUCTION, DEBUG="true")


def test_a_second_factor_is_a_choice_in_the_demo_alone(chosen, complaint):
    assert (chosen()["MFA_REQUIRED"], chosen(**PRODUCTION)["MFA_REQUIRED"]) == (False, True)
    assert "MFA_REQUIRED" in complaint(**PRODUCTION, MFA_REQUIRED="false")


def test_hospital_sign_on_needs_all_of_its_settings(chosen, complaint):
    server = {"OIDC_SERVER_URL": "https://id.example.org", "OIDC_CLIENT_ID": "portal"}
    assert "allauth.socialaccount" not in chosen(**PRODUCTION)["INSTALLED_APPS"]
    assert "allauth.socialaccount" in chosen(**PRODUCTION, **server, OIDC_CLIENT_SECRET="s")["INSTALLED_APPS"]
    assert "OIDC_CLIENT_SECRET" in complaint(**PRODUCTION, **server)
    assert "https" in complaint(**PRODUCTION, **{**server, "OIDC_SERVER_URL": "http://id.example.org"})


def test_production_is_https_only(complaint):
    assert "BASE_URL must begin with https://" in complaint(
        **{**PRODUCTION, "BASE_URL": "http://videos.example.org"}
    )


def test_production_starts_with_all_that_it_needs(tmp_path):
    done = start("import django; django.setup()", tmp_path, **PRODUCTION)

    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_wrong_is_said_when_anything_starts(tmp_path):
    done = start("import django; django.setup()", tmp_path, PORT="http")

    assert done.returncode != 0
    assert "PORT must be a whole number of at least 1." in done.stderr


def test_the_deployment_check_is_clean(tmp_path, store):
    """Against a real bucket, with a database that is there."""
    environment = {
        **PRODUCTION,
        "SECRET_KEY": "A rather long key, of more than fifty letters & 5 digits: 81734.",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'portal.sqlite3'}",
        "S3_BUCKET": store.bucket,
        "S3_ENDPOINT": store.config.endpoint,
        "S3_ACCESS_KEY": store.config.access_key,
        "S3_SECRET_KEY": store.config.secret_key,
    }

    done = start(CHECK, tmp_path, **environment, CACHE_URL=f"filecache://{tmp_path / 'cache'}")

    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout

    done = start(CHECK, tmp_path, **environment)

    assert "portal.W002" in done.stderr


def test_the_demo_s_settings_are_warned_of_before_deployment(store):
    done = start(CHECK, settings.VAR_DIR, S3_PORT=str(settings.S3_PORT))

    assert "portal.W001" in done.stderr


# Text messages


def test_outside_the_demo_no_text_messages_are_sent_unless_somebody_carries_them(chosen):
    assert chosen()["SMS_CARRIER"] == "console"
    assert chosen(**PRODUCTION)["SMS_CARRIER"] == "none"
    assert chosen(**PRODUCTION, SMS_CARRIER="sns", SMS_REGION="eu-west-2")["SMS_REGION"] == "eu-west-2"


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"SMS_CARRIER": "console"}, "DEMO=true only"),
        ({"SMS_CARRIER": "pigeon"}, "SMS_CARRIER"),
        ({"SMS_CARRIER": "webhook"}, "SMS_WEBHOOK_URL"),
        ({"SMS_CARRIER": "webhook", "SMS_WEBHOOK_URL": "http://gateway.example/"}, "https://"),
        ({"SMS_CARRIER": "webhook", "SMS_WEBHOOK_URL": "https://gateway.example/"}, "SMS_WEBHOOK_SECRET"),
        ({"MOBILE_REGION": "Wales"}, "MOBILE_REGION"),
    ],
)
def test_a_carrier_that_cannot_work_is_refused(complaint, given, word):
    assert word in complaint(**PRODUCTION, **given)
