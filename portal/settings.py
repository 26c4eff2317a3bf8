"""Every setting of the portal. All come from the environment; docs/operations.md lists them.

Without any, this is the demo: SQLite, a local S3 server, secrets made at first start, loopback only.
`DEMO=false` is production: what has no safe default must then be given, or nothing starts.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import salted_hmac

from portal.environment import (
    SECRET_LENGTH,
    address,
    choice,
    env,
    flag,
    named_secrets,
    optional_origin,
    origin,
    whole,
)
from portal.localkeys import local_keys

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()


def field_keys(name: str, own: str) -> dict[str, str]:
    """Secrets whose first one is the present one. The demo has its own."""
    found = named_secrets(name, default=in_demo(f"demo:{KEYS.get(own)}"))
    if not found or any(len(label) > LONGEST_KEY_NAME for label in found):
        raise ImproperlyConfigured(
            f"{name} needs a name:secret, with names of {LONGEST_KEY_NAME} characters."
        )
    return found


LONGEST_KEY_NAME = 40


DEMO = flag("DEMO", default=True)
DEBUG = flag("DEBUG", default=False)
if DEBUG and not DEMO:
    raise ImproperlyConfigured("DEBUG shows patients' data in error pages: it works with DEMO=true only.")

KEYS = local_keys(VAR_DIR) if DEMO else {}


def in_demo(value: str) -> str | environ.NoValue:
    """The default of a setting that production must give itself."""
    return value if DEMO else environ.Env.NOTSET


# Addresses

PORT = whole("PORT", default=8000)
BASE_URL = origin("BASE_URL", default=f"http://127.0.0.1:{PORT}" if DEMO else None)
ALLOWED_HOSTS: list[str] = env.list(
    "ALLOWED_HOSTS", default=[urlsplit(BASE_URL).hostname, *(["localhost", "127.0.0.1"] if DEMO else [])]
)
CSRF_TRUSTED_ORIGINS = [BASE_URL]
ROOT_URLCONF = "portal.urls"
ASGI_APPLICATION = "portal.asgi.application"
TRUSTED_PROXIES = whole("TRUSTED_PROXIES", default=0, at_least=0)

# Secrets and transport

SECRET_KEY: str = env("SECRET_KEY", default=in_demo(KEYS.get("secret_key", "")))
SECRET_KEY_LENGTH = 50
if len(SECRET_KEY) < SECRET_KEY_LENGTH:
    raise ImproperlyConfigured(f"SECRET_KEY must have at least {SECRET_KEY_LENGTH} characters.")
HTTPS = BASE_URL.startswith("https://")
if not (HTTPS or DEMO):
    raise ImproperlyConfigured("BASE_URL must begin with https:// outside the demo.")
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", default=[])
"""Older keys: what they signed or encrypted can still be read."""
FIELD_KEYS = field_keys("FIELD_KEYS", "field_key")
"""Encrypt what identifies a patient. The first one does it; what the others did can still be read."""
FIELD_INDEX_KEYS = field_keys("FIELD_INDEX_KEYS", "field_index_key")
"""Make the blind index by which patients are found."""
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 63_072_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
DATA_UPLOAD_MAX_NUMBER_FILES = 0
"""Videos go to the store by themselves; no form of ours takes a file."""

# Object store

S3_BUCKET: str = env("S3_BUCKET", default=in_demo("videos"))
S3_REGION: str = env("S3_REGION", default="us-east-1")
S3_PORT = whole("S3_PORT", default=8333)
S3_ENDPOINT = optional_origin("S3_ENDPOINT", default=f"http://127.0.0.1:{S3_PORT}" if DEMO else None)
"""Where the portal reaches the store. None: AWS."""
S3_PUBLIC_ENDPOINT = optional_origin("S3_PUBLIC_ENDPOINT", default=S3_ENDPOINT)
"""Where browsers reach it: the host inside presigned URLs."""
S3_ACCESS_KEY: str | None = env("S3_ACCESS_KEY", default=KEYS.get("s3_access_key"))
S3_SECRET_KEY: str | None = env("S3_SECRET_KEY", default=KEYS.get("s3_secret_key"))
S3_ADDRESSING = choice(
    "S3_ADDRESSING", default="path" if S3_ENDPOINT else "virtual", among={"path", "virtual"}
)
S3_ACL: str = env("S3_ACL", default="private" if DEMO else "")
"""Empty for buckets whose owner is enforced: AWS's default, which refuses any ACL."""
S3_ENCRYPTION = choice("S3_ENCRYPTION", default="AES256", among={"AES256", "aws:kms"})
S3_KMS_KEY: str = env("S3_KMS_KEY", default="")
if S3_KMS_KEY and S3_ENCRYPTION != "aws:kms":
    raise ImproperlyConfigured("S3_KMS_KEY is for S3_ENCRYPTION=aws:kms.")
PLAYBACK_URL_SECONDS = whole("PLAYBACK_URL_SECONDS", default=900, at_least=60)
UPLOAD_URL_SECONDS = whole("UPLOAD_URL_SECONDS", default=900, at_least=60)

S3_ORIGIN = S3_PUBLIC_ENDPOINT if S3_PUBLIC_ENDPOINT else f"https://{S3_BUCKET}.s3.{S3_REGION}.amazonaws.com"

STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "portal.storage.PrivateStorage"},
    "playback": {"BACKEND": "portal.storage.PlaybackStorage"},
    "staticfiles": {"BACKEND": "portal.storage.HashedStaticFiles"},
}

# Text messages

SMS_CARRIER = choice(
    "SMS_CARRIER", default="console" if DEMO else "none", among={"none", "console", "sns", "webhook"}
)
if SMS_CARRIER == "console" and not DEMO:
    raise ImproperlyConfigured("SMS_CARRIER=console sends nothing to anybody: it works with DEMO=true only.")
SMS_REGION: str = env("SMS_REGION", default=S3_REGION)
SMS_ENDPOINT = optional_origin("SMS_ENDPOINT", default=None)
"""Of SNS; None: AWS's own."""
SMS_SENDER_ID: str = env("SMS_SENDER_ID", default="")
SMS_WEBHOOK_URL: str = env("SMS_WEBHOOK_URL", default="")
SMS_WEBHOOK_SECRET: str = env("SMS_WEBHOOK_SECRET", default="")
if SMS_CARRIER == "webhook":
    if not SMS_WEBHOOK_URL.startswith(("https://", "http://") if DEMO else "https://"):
        raise ImproperlyConfigured("SMS_CARRIER=webhook needs SMS_WEBHOOK_URL, which begins with https://.")
    if len(SMS_WEBHOOK_SECRET) < SECRET_LENGTH:
        raise ImproperlyConfigured(f"SMS_WEBHOOK_SECRET must have at least {SECRET_LENGTH} characters.")
MOBILE_REGION: str = env("MOBILE_REGION", default="GB")
"""Whose numbers may be written without a country code: two letters of ISO 3166."""
if not re.fullmatch("[A-Z]{2}", MOBILE_REGION):
    raise ImproperlyConfigured("MOBILE_REGION must be two capital letters, such as GB.")

# Limits of what a patient may send, and of what one conversion may cost

UPLOAD_MAX_BYTES = whole("UPLOAD_MAX_BYTES", default=5 * 1024**3)
UPLOAD_MAX_VIDEOS = whole("UPLOAD_MAX_VIDEOS", default=50)
UPLOAD_MAX_TOTAL_BYTES = whole("UPLOAD_MAX_TOTAL_BYTES", default=50 * 1024**3)
UPLOAD_STARTS_PER_HOUR = whole("UPLOAD_STARTS_PER_HOUR", default=100)
INVITATION_DAYS = whole("INVITATION_DAYS", default=14)
UPLOAD_RESUME_DAYS = whole("UPLOAD_RESUME_DAYS", default=INVITATION_DAYS)
if UPLOAD_RESUME_DAYS < INVITATION_DAYS:
    raise ImproperlyConfigured("UPLOAD_RESUME_DAYS must not be less than INVITATION_DAYS.")
UPLOAD_FORGET_DAYS = UPLOAD_RESUME_DAYS + 7
"""After so many days the store's own lifecycle rule drops an unfinished upload: the second net."""
STORE_EVENTS_SECRET: str = env(
    "STORE_EVENTS_SECRET", default=salted_hmac("store events", "", SECRET_KEY).hexdigest() if DEMO else ""
)
"""What the store's notifications must carry. Empty: they are not listened to."""
STORE_EVENTS_SECRET_LENGTH = 32
if 0 < len(STORE_EVENTS_SECRET) < STORE_EVENTS_SECRET_LENGTH:
    raise ImproperlyConfigured(
        f"STORE_EVENTS_SECRET must have at least {STORE_EVENTS_SECRET_LENGTH} characters."
    )
RETENTION_DAYS = whole("RETENTION_DAYS", default=0, at_least=0)
"""For how long a new team keeps videos, until its admin says otherwise. 0: for good."""
VIDEO_MAX_SECONDS = whole("VIDEO_MAX_SECONDS", default=3600)
VIDEO_LONG_SIDE = whole("VIDEO_LONG_SIDE", default=1920, at_least=320)
MP4_KEY_STYLE = choice("MP4_KEY_STYLE", default="web", among={"web", "plain"})

# Conversions

FFMPEG_TIMEOUT = whole("FFMPEG_TIMEOUT", default=3000)
LEASE_SECONDS = whole("LEASE_SECONDS", default=30, at_least=5)
HEARTBEAT_SECONDS = whole("HEARTBEAT_SECONDS", default=3)
if HEARTBEAT_SECONDS * 3 > LEASE_SECONDS:
    raise ImproperlyConfigured("LEASE_SECONDS must be at least three times HEARTBEAT_SECONDS.")
MAX_ATTEMPTS = whole("MAX_ATTEMPTS", default=3)
RETRY_PAUSE_SECONDS = whole("RETRY_PAUSE_SECONDS", default=15)
WORK_DIR = Path(env("WORK_DIR", default=str(VAR_DIR / "work")))

TRANSCODE_RUNNER = choice("TRANSCODE_RUNNER", default="local", among={"local", "lambda"})
"""Who converts what arrives; an admin may send a single job the other way."""
LAMBDA_TRIGGER = choice("LAMBDA_TRIGGER", default="invoke", among={"invoke", "event"})
"""`invoke`: we call the function. `event`: the bucket's own event does."""
LAMBDA_FUNCTION: str = env("LAMBDA_FUNCTION", default="")
LAMBDA_REGION: str = env("LAMBDA_REGION", default=S3_REGION)
LAMBDA_ENDPOINT = optional_origin("LAMBDA_ENDPOINT", default=None)
LAMBDA_LEASE_SECONDS = whole("LAMBDA_LEASE_SECONDS", default=1200, at_least=60)
"""From our call to the function's first word: it may have to wait for its turn."""
LAMBDA_SILENCE_SECONDS = whole("LAMBDA_SILENCE_SECONDS", default=120, at_least=30)
"""Between two words of a function that is at work; it speaks every ten seconds."""
LAMBDA_EVENT_SECONDS = whole("LAMBDA_EVENT_SECONDS", default=300, at_least=30)
"""Until the bucket's event counts as lost, and we call the function ourselves."""
CALLBACK_KEYS = named_secrets("CALLBACK_KEYS")
"""Name to secret of whoever may report on conversions; several while one replaces another."""
LAMBDA_FALLBACK = choice("LAMBDA_FALLBACK", default="none", among={"none", "local"})
"""Who does what the function has no time or disk for: `local`, a worker; `none`, an admin decides."""
if TRANSCODE_RUNNER == "lambda" and not (LAMBDA_FUNCTION and CALLBACK_KEYS):
    raise ImproperlyConfigured("TRANSCODE_RUNNER=lambda needs LAMBDA_FUNCTION and CALLBACK_KEYS.")
LIVE_STREAMS = whole("LIVE_STREAMS", default=2, at_least=0)
"""How many videos may be watched while they wait to be converted, at once in each process."""

Q_CLUSTER: dict[str, Any] = {
    # Light tasks: the sweep, mail. Rows in our own tables own attempts and leases; this is a doorbell.
    "name": "portal",
    "label": "Task queue",
    "orm": "default",
    "workers": 1,
    "queue_limit": 1,
    "bulk": 1,
    "ack_failures": True,
    "max_attempts": 1,
    "timeout": 120,
    "retry": 360,
    "catch_up": False,
    "save_limit": 500,
    # One core a conversion: `Q_CLUSTER_NAME=video manage.py qcluster`.
    "ALT_CLUSTERS": {
        "video": {
            "workers": whole("VIDEO_WORKERS", default=2),
            "queue_limit": whole("VIDEO_WORKERS", default=2),
            "timeout": FFMPEG_TIMEOUT + 600,
            "retry": 3 * (FFMPEG_TIMEOUT + 600),
        }
    },
}

# Sign-on by the hospital's own OpenID Connect server, beside e-mail and password

OIDC_SERVER_URL: str = env("OIDC_SERVER_URL", default="")
if OIDC_SERVER_URL and not OIDC_SERVER_URL.startswith("https://") and not DEMO:
    raise ImproperlyConfigured("OIDC_SERVER_URL must begin with https:// outside the demo.")
OIDC_NAME: str = env("OIDC_NAME", default="Hospital sign-on")
OIDC_CLIENT_ID: str = env("OIDC_CLIENT_ID") if OIDC_SERVER_URL else ""
OIDC_CLIENT_SECRET: str = env("OIDC_CLIENT_SECRET") if OIDC_SERVER_URL else ""

# Applications

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    *(["allauth.socialaccount", "allauth.socialaccount.providers.openid_connect"] if OIDC_SERVER_URL else []),
    "csp",
    "django_htmx",
    "django_q",
    "storages",
    "template_partials",
    "portal",
    "portal.accounts",
    "encounters",
    "transcoding",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "portal.middleware.StaticFiles",
    "csp.middleware.CSPMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "encounters.languages.speak_to_patients",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.accounts.middleware.end_old_sessions",
    "portal.middleware.StaffOnly",
    "portal.accounts.middleware.SecondFactor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.middleware.private_by_default",
    "portal.middleware.translate_errors",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.i18n",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "worker-src": [SELF],
        "style-src": [SELF],
        "font-src": [SELF],
        "img-src": [SELF, "data:", S3_ORIGIN],
        "media-src": [SELF, "blob:", S3_ORIGIN],
        "connect-src": [SELF, S3_ORIGIN],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "frame-src": [NONE],
        "object-src": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    },
}
PERMISSIONS_POLICY: dict[str, list[str]] = {
    name: []
    for name in (
        "accelerometer",
        "browsing-topics",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "hid",
        "identity-credentials-get",
        "idle-detection",
        "local-fonts",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "serial",
        "usb",
        "xr-spatial-tracking",
    )
}

# People

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "portal.accounts.passwords.GuessablePasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "portal.accounts.adapter.StaffAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_USER_DISPLAY = str
ACCOUNT_RATE_LIMITS: dict[str, str] | bool = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/15m/key",
    "reset_password": "10/m/ip,3/15m/key",
    "reset_password_from_key": "10/m/ip",
    "reauthenticate": "10/m/user",
}
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES

MFA_REQUIRED = flag("MFA_REQUIRED", default=not DEMO)
if not (MFA_REQUIRED or DEMO):
    raise ImproperlyConfigured("MFA_REQUIRED=false works with DEMO=true only.")
MFA_ADAPTER = "portal.accounts.adapter.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Clinic videos"
STAFF_IDLE_MINUTES = whole("STAFF_IDLE_MINUTES", default=30, at_least=5)
STAFF_SESSION_HOURS = whole("STAFF_SESSION_HOURS", default=12)

SOCIALACCOUNT_ADAPTER = "portal.accounts.sso.InvitedOnly"
SOCIALACCOUNT_ONLY = False
SOCIALACCOUNT_LOGIN_ON_GET = True
"""A link leads there: a form may not, by our Content-Security-Policy. The `state` guards the way back."""
SOCIALACCOUNT_EMAIL_AUTHENTICATION = SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
"""Whoever the hospital vouches for by a verified address is the member of staff who has that address."""
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "hospital",
                "name": OIDC_NAME,
                "client_id": OIDC_CLIENT_ID,
                "secret": OIDC_CLIENT_SECRET,
                "settings": {"server_url": OIDC_SERVER_URL},
            }
        ],
    }
}

EMAIL_URL = address(
    "EMAIL_URL", schemes=env.EMAIL_SCHEMES, default=in_demo(f"filemail:///{VAR_DIR / 'mail'}")
)
vars().update(env.email_url_config(EMAIL_URL))
EMAIL_TIMEOUT = 10
"""Seconds: whoever sends a link waits for the mail server."""
DEFAULT_FROM_EMAIL: str = env("DEFAULT_FROM_EMAIL", default=in_demo("portal@clinic.example"))

# Database and cache

DATABASE_URL = address(
    "DATABASE_URL",
    schemes={"sqlite", "postgres", "postgresql"},
    default=in_demo(f"sqlite:///{VAR_DIR / 'portal.sqlite3'}"),
)
DATABASES: dict[str, dict[str, Any]] = {"default": env.db_url_config(DATABASE_URL)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # WAL: readers never wait for a writer. IMMEDIATE: a transaction takes its write lock at the start,
    # so that two of them queue instead of failing. FULL: a commit survives a power cut. SECURE_DELETE: what
    # was deleted or encrypted since is overwritten, not left in the file.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHE_URL = address("CACHE_URL", schemes=env.CACHE_SCHEMES, default="locmemcache://")
CACHES = {"default": env.cache_url_config(CACHE_URL)}

# Language, time, static files

LANGUAGE_CODE = "en-gb"
LANGUAGES = [("en-gb", "English"), ("cy", "Cymraeg")]
"""Of what patients read; staff read English. A further one needs a catalogue in locale/ and a wording."""
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = "__Host-language" if HTTPS else "language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SECURE = HTTPS
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = choice("TIME_ZONE", default="Europe/London", among=available_timezones())
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"

# Logs: one JSON object a line on standard error, never a token, a patient or a file name.

LOG_LEVEL = choice("LOG_LEVEL", default="INFO", among={"DEBUG", "INFO", "WARNING", "ERROR"})
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"no_secrets": {"()": "portal.logging.NoSecrets"}},
    "formatters": {"json": {"()": "portal.logging.JsonFormatter"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["no_secrets"]},
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        "django-q": {"handlers": [], "level": "WARNING", "propagate": True},
        "botocore": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
    },
}

SILENCED_SYSTEM_CHECKS: list[str] = []
