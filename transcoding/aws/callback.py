"""Speaks to the portal. Without one, says so to nobody and goes on: the result file is the truth."""

import logging
import os
import time
from dataclasses import replace
from urllib.parse import urlsplit

import urllib3

from transcoding.aws import reports, settings
from transcoding.aws.reports import Answer, News, Report
from transcoding.aws.settings import Misconfigured

logger = logging.getLogger(__name__)

_TRIES = {News.BEGIN: 3, News.WORKING: 1, News.RESULT: 5, News.FAULT: 3}
_PAUSE = 0.5
"""Seconds before the second try; doubled before each further one."""
_OK = 200
_MOST_BYTES = 64 * 1024
_FINAL = {400, 401, 403, 404}
"""Another try would be told the same."""


class Portal:
    """The portal at the other end of PORTAL_URL."""

    def __init__(self, address: str, *, key: str, secret: str) -> None:
        parts = urlsplit(address)
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
            raise Misconfigured("PORTAL_URL must begin with https://.")
        self._address = address.rstrip("/") + reports.PATH
        self._key, self._secret = key, secret
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=20), retries=False)

    @classmethod
    def from_environment(cls) -> "Portal | None":
        address = os.environ.get("PORTAL_URL", "")
        if not address:
            return None
        return cls(
            address,
            key=os.environ.get("CALLBACK_KEY") or "transcode",
            secret=settings.callback_secret(),
        )

    def tell(self, report: Report) -> Answer | None:
        """What the portal says; None if it could not be reached, which is no reason to stop."""
        body = report.to_json().encode()
        for number in range(_TRIES[report.news]):
            if number:
                time.sleep(_PAUSE * 2 ** (number - 1))
            status, content = self._post(body)
            if status == _OK:
                return Answer.from_json(content)
            logger.warning("report not taken", extra={"news": report.news, "status": status})
            if status in _FINAL:
                break
        return None

    def _post(self, body: bytes) -> tuple[int, bytes]:
        """(status, content); status 0 where there was no answer. Signed anew for each try."""
        headers = reports.signed(body, key=self._key, secret=self._secret)
        try:
            answer = self._pool.request(
                "POST",
                self._address,
                body=body,
                headers={**headers, "Content-Type": "application/json"},
                redirect=False,
                preload_content=False,
            )
            try:
                return answer.status, answer.read(_MOST_BYTES)
            finally:
                answer.release_conn()
        except urllib3.exceptions.HTTPError:
            return 0, b""


class Conversation:
    """All that is said to the portal about one source."""

    def __init__(self, portal: Portal | None, opening: Report) -> None:
        self._portal = portal
        self._about = opening

    def begin(self) -> Answer | None:
        """Ask whether to begin, and as what. None: nobody answers, so decide yourself."""
        answer = self._say(News.BEGIN)
        if answer and answer.request:
            self._about = replace(self._about, job=answer.request.job, attempt=answer.request.attempt)
        return answer

    def working(self, progress: float) -> bool:
        """Whether to go on."""
        answer = self._say(News.WORKING, progress=progress)
        return answer is None or answer.accepted

    def result(self, report: Report) -> bool:
        """Whether to go on, if there is more to do."""
        answer = self._say(News.RESULT, result=report.result)
        return answer is None or answer.accepted

    def fault(self, detail: str) -> None:
        self._say(News.FAULT, detail=detail)

    def _say(self, news: News, **more: object) -> Answer | None:
        if self._portal is None:
            return None
        return self._portal.tell(replace(self._about, news=news, **more))  # type: ignore[arg-type]
