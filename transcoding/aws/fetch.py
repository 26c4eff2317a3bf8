"""Fetch from the web what a stranger names, and nothing that he should not reach through us.

Only https, only hosts on the list, only public addresses: each name is resolved here, every address that it
has is checked, and the connection goes to the very address that was checked, so that a second answer of the
name server cannot lead elsewhere. The same for every redirect and every segment of a playlist.
Sources: OWASP, "Server-Side Request Forgery Prevention Cheat Sheet"; RFC 6890 (special addresses), RFC 6052
(IPv4 inside IPv6).
"""

import logging
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from socket import SOCK_STREAM, gaierror, getaddrinfo
from urllib.parse import urljoin, urlsplit

import httpx

from transcoding.engine.sources import NotSeekable, Pieces, SourceFailed

logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log addresses, signatures included

_REDIRECTS = 3
_TIMEOUT = httpx.Timeout(connect=5.0, read=15.0, write=5.0, pool=5.0)
_TRIES = 3
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_HTTPS_PORT = 443
_PARTIAL, _OK = 206, 200
_MOST_URL = 4096

Resolve = Callable[[str, int], Sequence[str]]
"""All addresses of a host."""


class FetchRefused(Exception):
    """`status`: what to answer; `code`: why. Never holds the address itself, which may be signed."""

    def __init__(self, status: int, code: str) -> None:
        self.status = status
        self.code = code
        super().__init__(code)


def resolve(host: str, port: int) -> Sequence[str]:
    return sorted({str(found[4][0]) for found in getaddrinfo(host, port, type=SOCK_STREAM)})


def is_public(address: str) -> bool:
    """Whether anybody on the internet could reach it, and so we may."""
    ip = ip_address(address.partition("%")[0])
    return all(found.is_global and not found.is_multicast for found in _meanings(ip))


def _meanings(ip: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """The address, and any IPv4 address that is written inside it."""
    yield ip
    if isinstance(ip, IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if any(ip in network for network in _NAT64) or int(ip) < 2**32:
            inner.append(IPv4Address(int(ip) & 0xFFFFFFFF))
        yield from (found for found in inner if found is not None)


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What may be fetched."""

    hosts: tuple[str, ...]
    """`media.example.org`, `.example.org` for all below it, `media.example.org:8443` for another port."""
    resolve: Resolve = resolve
    allows: Callable[[str], bool] = is_public

    def __post_init__(self) -> None:
        for entry in self.hosts:
            urlsplit(f"//{entry}").port  # noqa: B018 - raises ValueError: told at the start, not at a fetch

    def check(self, url: str) -> str:
        """The address to connect to. Raises `FetchRefused`."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower().rstrip("."), parts.port or _HTTPS_PORT
        except ValueError as error:
            raise FetchRefused(400, "not_an_address") from error
        if parts.scheme != "https" or not host or len(url) > _MOST_URL:
            raise FetchRefused(400, "https_only")
        if parts.username is not None or parts.password is not None:
            raise FetchRefused(400, "not_an_address")
        if not any(self._matches(entry, host, port) for entry in self.hosts):
            raise FetchRefused(403, "host_not_allowed")
        return self._address(host, port)

    def _matches(self, entry: str, host: str, port: int) -> bool:
        parts = urlsplit(f"//{entry.lower()}")
        name = parts.hostname or ""
        if port != (parts.port or _HTTPS_PORT):
            return False
        return host.endswith(name) and len(host) > len(name) if name.startswith(".") else host == name

    def _address(self, host: str, port: int) -> str:
        try:
            addresses = self.resolve(host, port)
        except (gaierror, UnicodeError) as error:
            raise FetchRefused(502, "host_unknown") from error
        if not addresses or not all(self.allows(address) for address in addresses):
            raise FetchRefused(403, "address_not_allowed")
        return addresses[0]


class _PinnedTransport(httpx.HTTPTransport):
    """Connects to the address that was checked; certificate and Host header stay those of the name.

    Source: HTTPX, "Request extensions", `sni_hostname`.
    """

    def __init__(self, guard: Guard, verify: ssl.SSLContext) -> None:
        super().__init__(verify=verify, retries=0, limits=httpx.Limits(max_keepalive_connections=0))
        self._guard = guard

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        address = self._guard.check(str(request.url))
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host=address)
        return super().handle_request(request)


class Fetcher:
    """Fetches under a guard."""

    def __init__(self, guard: Guard, verify: ssl.SSLContext | None = None) -> None:
        self.guard = guard
        self._client = httpx.Client(
            transport=_PinnedTransport(guard, verify or ssl.create_default_context()),
            timeout=_TIMEOUT,
            trust_env=False,
            follow_redirects=False,
            headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "clinic-video-stream"},
        )

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def get(self, url: str, span: str = "", version: str = "") -> Iterator[httpx.Response]:
        """The answer, its content unread. `span`: a Range; `version`: the ETag that it must be of.

        Raises `FetchRefused`; httpx's errors while it is read are the caller's.
        """
        headers = ({"Range": span} if span else {}) | ({"If-Match": version} if version else {})
        for _ in range(_REDIRECTS + 1):
            try:
                answer = self._client.send(
                    self._client.build_request("GET", url, headers=headers), stream=True
                )
            except httpx.TimeoutException as error:
                raise FetchRefused(504, "source_silent") from error
            except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
                raise FetchRefused(502, "source_unreachable") from error
            try:
                if not answer.has_redirect_location:
                    yield answer
                    return
                url = urljoin(url, answer.headers["location"])
            finally:
                answer.close()
        raise FetchRefused(502, "too_many_redirects")

    def text(self, url: str, most: int) -> tuple[str, str]:
        """(content, address after redirects) of something small."""
        with self.get(url) as answer:
            raise_for(answer)
            content = b""
            for chunk in chunks(answer):
                content += chunk
                if len(content) > most:
                    raise FetchRefused(413, "playlist_too_large")
            return content.decode("utf-8", "replace"), _address_of(answer)


def _address_of(answer: httpx.Response) -> str:
    """As it was asked for: by name, not by number."""
    host = answer.request.headers["host"]
    return f"https://{host}{answer.request.url.raw_path.decode('ascii')}"


def raise_for(answer: httpx.Response) -> None:
    if answer.status_code in (_OK, _PARTIAL):
        return
    known = {403: (403, "source_forbidden"), 401: (403, "source_forbidden"), 404: (404, "source_missing")}
    status, code = known.get(answer.status_code, (502, "source_failed"))
    raise FetchRefused(status, code)


def chunks(answer: httpx.Response) -> Iterator[bytes]:
    try:
        yield from answer.iter_raw()  # as they come: what a broken connection gave is not lost
    except httpx.HTTPError as error:
        raise SourceFailed("The connection to the source broke.") from error


class HttpSource:
    """One file on another server. Raises `FetchRefused` where there is none that we may have."""

    def __init__(self, fetcher: Fetcher, url: str) -> None:
        self._fetcher = fetcher
        with fetcher.get(url, "bytes=0-0") as answer:
            if answer.status_code == 416:  # noqa: PLR2004 - an empty file has no first byte
                raise FetchRefused(422, "empty")
            raise_for(answer)
            self.url = _address_of(answer)
            self._etag = _strong(answer.headers.get("etag", ""))
            self.size = _total(answer)

    def read(self, start: int, end: int | None = None) -> Pieces:
        """Goes on where a broken connection left it, if the server gives parts."""
        if self.size is None:
            if start:
                raise NotSeekable("The server gives no part of a file.")
            with self._fetcher.get(self.url) as answer:
                raise_for(answer)
                yield from chunks(answer)
            return
        stop = self.size if end is None else min(end, self.size)
        failures = 0
        while start < stop:
            try:
                for chunk in self._part(start, stop):
                    start += len(chunk)
                    yield chunk
            except (SourceFailed, FetchRefused) as error:
                failures += 1
                if failures == _TRIES:
                    raise SourceFailed("The source failed.") from error

    def _part(self, start: int, stop: int) -> Iterator[bytes]:
        with self._fetcher.get(self.url, f"bytes={start}-{stop - 1}", self._etag) as answer:
            if answer.status_code != _PARTIAL:
                raise SourceFailed("The source changed.")
            left = stop - start
            for chunk in chunks(answer):
                yield chunk[:left]
                left -= len(chunk)
                if left <= 0:
                    return
        raise SourceFailed("The source ended early.")


def _strong(etag: str) -> str:
    return etag if etag.startswith('"') else ""


def _total(answer: httpx.Response) -> int | None:
    total = answer.headers.get("content-range", "").rpartition("/")[2]
    return int(total) if answer.status_code == _PARTIAL and total.isdecimal() else None
