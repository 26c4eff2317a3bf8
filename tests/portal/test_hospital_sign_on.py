"""Sign-on by an OpenID Connect server, in a process of its own with the settings for one."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import jwt
import pytest
from django.conf import settings

VISITS = """
import json
import django
django.setup()
from urllib.parse import parse_qs, urlsplit
from django.core.management import call_command
from django.test import Client
from django.test.utils import setup_test_environment
from encounters.models import AccessRecord
from portal.accounts.invitations import trust_address
from portal.accounts.models import User
from tests.portal.test_who_may_what import names, rows

call_command("migrate", verbosity=0)
setup_test_environment()
alice = User.objects.create_user("alice@clinic.example", "a long password", name="Alice")
trust_address(alice)
told = {"page": Client().get("/accounts/login/").content.decode()}
for who in ("alice", "stranger", "unverified"):
    client = Client()
    way = urlsplit(client.get("/accounts/oidc/hospital/login/").url)
    query = parse_qs(way.query)
    back = {"code": who, "state": query["state"][0]}
    client.get("/accounts/oidc/hospital/login/callback/", {**back, "state": "forged"})
    told[f"{who}, forged"] = client.get("/").status_code
    client.get("/accounts/oidc/hospital/login/callback/", back)
    told[who] = client.get("/").status_code
told["pkce"] = query["code_challenge_method"]
told["users"] = User.objects.count()
told["addresses"] = sorted(set(names()) - {name for _, name in rows()})
told["managed"] = sorted(model._meta.label for model in django.contrib.admin.site._registry)
told["records"] = list(AccessRecord.objects.values_list("verb", "user__name"))
django.conf.settings.MFA_REQUIRED = True
told["factor"] = Client().get("/").url
client = Client()
query = parse_qs(urlsplit(client.get("/accounts/oidc/hospital/login/").url).query)
client.get("/accounts/oidc/hospital/login/callback/", {"code": "alice", "state": query["state"][0]})
told["factor"] = client.get("/").url
print(json.dumps(told))
"""


class Hospital(BaseHTTPRequestHandler):
    """As much of an OpenID Connect server as a sign-on asks of one. The code names who signed in."""

    def do_GET(self) -> None:
        if self.path == "/.well-known/openid-configuration":
            ways = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
            found = {f"{name}_endpoint": f"{self._origin}/{path}" for name, path in ways.items()}
            self._answer({**found, "issuer": self._origin, "jwks_uri": f"{self._origin}/keys"})
        else:
            who = self.headers["Authorization"].removeprefix("Bearer ")
            known = "alice" if who == "unverified" else who
            verified = who != "unverified"
            self._answer({"sub": who, "email": f"{known}@clinic.example", "email_verified": verified})

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        assert asked["code_verifier"]
        who = asked["code"][0]
        claims = {"iss": self._origin, "aud": "portal", "sub": who, "exp": int(time.time()) + 60}
        token = jwt.encode(claims, "k" * 32, "HS256")
        self._answer({"access_token": who, "token_type": "Bearer", "expires_in": 60, "id_token": token})

    @property
    def _origin(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def _answer(self, found: object) -> None:
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def told():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hospital)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "OIDC_SERVER_URL": f"http://127.0.0.1:{server.server_port}",
        "OIDC_CLIENT_ID": "portal",
        "OIDC_CLIENT_SECRET": "secret",
        "OIDC_NAME": "St Elsewhere",
    }
    inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", VISITS],
            env=inherited | environment,
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_sign_in_page_leads_there(told):
    assert "St Elsewhere" in told["page"]
    assert 'href="/accounts/oidc/hospital/login/' in told["page"]


def test_whom_an_admin_entered_is_let_in(told):
    assert told["alice"] == 200
    assert ["signed in", "Alice"] in told["records"]


def test_a_stranger_is_not_and_becomes_no_user(told):
    assert (told["stranger"], told["users"]) == (302, 1)


def test_an_address_that_the_hospital_did_not_verify_is_worth_nothing(told):
    assert told["unverified"] == 302


def test_it_adds_no_address_but_those_of_signing_on(told):
    assert told["addresses"] == [
        "openid_connect_callback",
        "openid_connect_login",
        "socialaccount_connections",
        "socialaccount_login_cancelled",
        "socialaccount_login_error",
        "socialaccount_signup",
    ]


def test_nobody_gives_somebody_else_a_way_to_sign_on(told):
    """On the admin site an admin could bind their own account at the hospital to another person's here."""
    assert told["managed"] == ["accounts.Team", "accounts.User"]


def test_an_answer_that_nobody_asked_for_is_refused(told):
    assert {told[f"{who}, forged"] for who in ("alice", "stranger", "unverified")} == {302}
    assert told["pkce"] == ["S256"]


def test_the_second_factor_stays_ours(told):
    assert told["factor"] == "/accounts/2fa/"
