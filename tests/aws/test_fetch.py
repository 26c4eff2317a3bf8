"""Nobody reaches through us what he could not reach himself."""

import ssl

import pytest

from tests.aws.media_server import HOST, MediaServer
from transcoding.aws.fetch import Fetcher, FetchRefused, Guard, HttpSource, is_public
from transcoding.engine.sources import NotSeekable, SourceFailed

ANY_HOST = (
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "[::1]",
    "localhost",
    "evil.example.test",
    "media.example.test",
)


@pytest.fixture
def media():
    with MediaServer() as server:
        yield server


@pytest.fixture
def fetcher(media):
    """May reach the test's server, which is on loopback, and nothing else."""
    guard = Guard(
        hosts=(f"{HOST}:{media.port}",), resolve=lambda host, port: ["127.0.0.1"], allows=lambda a: True
    )
    fetcher = Fetcher(guard, media.client_context)
    yield fetcher
    fetcher.close()


def refusal(guard, url):
    with pytest.raises(FetchRefused) as refused:
        guard.check(url)
    return refused.value.status, refused.value.code


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.170.2",
        "100.64.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_no_address_of_ours_is_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946"])
def test_addresses_of_everybody_are(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "localhost"],
)
def test_loopback_in_any_spelling_is_refused_even_on_the_list(host):
    """By the system's own resolver, which understands them all."""
    assert refusal(Guard(hosts=ANY_HOST), f"https://{host}/a.mov")[0] in (403, 502)


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["169.254.169.254"], ["::1"], ["93.184.216.34", "10.0.0.1"], ["::ffff:10.0.0.1"], []],
)
def test_a_name_that_leads_inside_is_refused(answer):
    guard = Guard(hosts=("evil.example.test",), resolve=lambda host, port: answer)
    assert refusal(guard, "https://evil.example.test/a.mov") == (403, "address_not_allowed")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://media.example.test/a.mov", (400, "https_only")),
        ("file:///etc/passwd", (400, "https_only")),
        ("ftp://media.example.test/a", (400, "https_only")),
        ("concat:https://media.example.test/a", (400, "https_only")),
        ("//media.example.test/a", (400, "https_only")),
        ("", (400, "https_only")),
        ("https://", (400, "https_only")),
        ("https://media.example.test:x/", (400, "not_an_address")),
        ("https://[::1/", (400, "not_an_address")),
        ("https://media.example.test@evil.example.test/", (400, "not_an_address")),
        ("https://user:word@media.example.test/", (400, "not_an_address")),
        ("https://evil.example.test/", (403, "host_not_allowed")),
        ("https://media.example.test.evil.test/", (403, "host_not_allowed")),
        ("https://xmedia.example.test/", (403, "host_not_allowed")),
        ("https://media.example.test:22/", (403, "host_not_allowed")),
        ("https://media.example.test/" + "a" * 5000, (400, "https_only")),
    ],
)
def test_only_https_to_hosts_on_the_list(url, expected):
    guard = Guard(hosts=("media.example.test",), resolve=lambda host, port: ["93.184.216.34"])
    assert refusal(guard, url) == expected


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("media.example.test", "https://MEDIA.example.test./a"),
        (".example.test", "https://a.b.example.test/a"),
        ("media.example.test:8443", "https://media.example.test:8443/a"),
    ],
)
def test_what_is_on_the_list_may_be_fetched(entry, url):
    assert Guard(hosts=(entry,), resolve=lambda host, port: ["93.184.216.34"]).check(url) == "93.184.216.34"


def test_an_empty_list_allows_nothing():
    assert refusal(Guard(hosts=()), "https://media.example.test/") == (403, "host_not_allowed")


def test_a_whole_domain_does_not_mean_its_own_name():
    guard = Guard(hosts=(".example.test",), resolve=lambda host, port: ["93.184.216.34"])
    assert refusal(guard, "https://example.test/")[1] == "host_not_allowed"


def test_it_connects_to_the_address_that_was_checked_under_the_name_that_was_asked(media, fetcher):
    """The second answer of a hostile name server is never asked for."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    fetcher._client._transport._guard = Guard(
        hosts=fetcher.guard.hosts,
        resolve=lambda host, port: answers.pop(0),
        allows=lambda a: a == "127.0.0.1",
    )
    url = media.put("/a.txt", b"content")

    assert fetcher.text(url, 100) == ("content", url)
    assert media.seen_hosts == {f"{HOST}:{media.port}"}
    assert len(answers) == 1


def test_a_certificate_of_another_name_is_refused(media):
    guard = Guard(
        hosts=(f"other.example.test:{media.port}",),
        resolve=lambda host, port: ["127.0.0.1"],
        allows=lambda a: True,
    )
    fetcher = Fetcher(guard, media.client_context)
    with pytest.raises(FetchRefused, match="source_unreachable"):
        fetcher.text(f"https://other.example.test:{media.port}/a", 100)
    fetcher.close()


def test_a_certificate_of_nobody_we_trust_is_refused(media, fetcher):
    stranger = Fetcher(fetcher.guard, ssl.create_default_context())
    with pytest.raises(FetchRefused, match="source_unreachable"):
        stranger.text(media.put("/a", b"x"), 100)
    stranger.close()


@pytest.mark.parametrize(
    "location",
    [
        "http://media.example.test/a",
        "https://127.0.0.1/a",
        "https://evil.example.test/a",
        "file:///etc/passwd",
        "//[::1]/a",
    ],
)
def test_a_redirect_leads_nowhere_else(media, fetcher, location):
    url = media.put("/moved", status=302, location=location)
    with pytest.raises(FetchRefused):
        HttpSource(fetcher, url)


def test_a_redirect_to_an_address_inside_is_refused(media):
    known = {HOST: ["127.0.0.1"], "inside.example.test": ["169.254.169.254"]}
    guard = Guard(
        hosts=(f"{HOST}:{media.port}", "inside.example.test"),
        resolve=lambda host, port: known[host],
        allows=lambda a: a == "127.0.0.1" or is_public(a),
    )
    fetcher = Fetcher(guard, media.client_context)
    url = media.put("/moved", status=302, location="https://inside.example.test/latest/meta-data/")
    with pytest.raises(FetchRefused, match="address_not_allowed"):
        HttpSource(fetcher, url)
    fetcher.close()


def test_redirects_are_followed_a_few_times(media, fetcher):
    media.put("/a.mov", b"content")
    media.put("/1", status=302, location="/a.mov")
    media.put("/round", status=302, location="/round")

    assert HttpSource(fetcher, f"{media.base}/1").url == f"{media.base}/a.mov"
    with pytest.raises(FetchRefused, match="too_many_redirects"):
        HttpSource(fetcher, f"{media.base}/round")


@pytest.mark.parametrize(
    ("status", "expected"),
    [(403, (403, "source_forbidden")), (404, (404, "source_missing")), (500, (502, "source_failed"))],
)
def test_what_the_server_says_is_passed_on(media, fetcher, status, expected):
    with pytest.raises(FetchRefused) as refused:
        HttpSource(fetcher, media.put("/a", b"x", status=status))
    assert (refused.value.status, refused.value.code) == expected


def test_a_server_that_is_not_there_is_a_502(fetcher, media):
    guard = Guard(hosts=(f"{HOST}:1",), resolve=lambda host, port: ["127.0.0.1"], allows=lambda a: True)
    with pytest.raises(FetchRefused) as refused:
        HttpSource(Fetcher(guard, media.client_context), f"https://{HOST}:1/a")
    assert (refused.value.status, refused.value.code) == (502, "source_unreachable")


CONTENT = bytes(range(256)) * 2000


def test_any_part_can_be_read(media, fetcher):
    source = HttpSource(fetcher, media.put("/a", CONTENT))

    assert source.size == len(CONTENT)
    assert b"".join(source.read(0)) == CONTENT
    assert b"".join(source.read(1000, 300_000)) == CONTENT[1000:300_000]
    assert b"".join(source.read(len(CONTENT))) == b""


def test_a_server_without_ranges_is_read_from_the_beginning_alone(media, fetcher):
    source = HttpSource(fetcher, media.put("/a", CONTENT, ranges=False))

    assert source.size is None
    assert b"".join(source.read(0)) == CONTENT
    with pytest.raises(NotSeekable):
        next(source.read(1))


def test_a_broken_connection_is_continued(media, fetcher):
    source = HttpSource(fetcher, media.put("/a", CONTENT))
    media.pages["/a"].break_at = 200_000

    assert b"".join(source.read(0)) == CONTENT


def test_one_that_breaks_for_ever_is_given_up(media, fetcher):
    source = HttpSource(fetcher, media.put("/a", CONTENT))
    media.pages["/a"].break_at = 0

    with pytest.raises(SourceFailed):
        list(source.read(0))


def test_a_file_that_changed_meanwhile_is_not_mixed(media, fetcher):
    source = HttpSource(fetcher, media.put("/a", CONTENT))
    media.put("/a", CONTENT, status=412)

    with pytest.raises(SourceFailed):
        list(source.read(0))
