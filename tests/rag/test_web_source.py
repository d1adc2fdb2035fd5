"""Against a real server on this machine; `private` addresses are those of it."""

import re
import time
from collections.abc import Iterator

import pytest

from rag.document import Document, sha256_hex
from rag.errors import FailureCode, ParseError, WebSourceError
from rag.parsing import DEFAULT_LIMITS
from rag.web_address import is_public, web_address
from rag.web_fetch import FetchLimits
from rag.web_source import KnownPage, WebSource
from tests.rag.sample_files import WEB_PAGE
from tests.rag.web_server import Handler, web_server


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with web_server() as address:
        yield address


def load(url: str, *, private: bool = True, **options: object) -> Document:
    source = WebSource(url, allow_private=private, **options)  # type: ignore[arg-type]
    return source.load(DEFAULT_LIMITS)


def test_a_page_becomes_a_document_under_its_url(base: str) -> None:
    found = load(f"{base}/bees#in-winter")
    assert found.uri == f"{base}/bees"
    assert found.title == "Keeping bees & wasps"
    assert "dense cluster" in found.text
    assert found.media_type == "text/html"
    assert found.source_sha256 == sha256_hex(WEB_PAGE.encode())


@pytest.mark.parametrize(
    ("path", "says", "title", "kind"),
    [
        ("/cyrillic", "Привет, мир", "cyrillic", "text/html"),
        ("/latin.txt", "Größe ÿ", "latin", "text/plain"),
        ("/paper", "Hello there.", "paper", "application/pdf"),
        ("/sheet", "Crop: Apples", "sheet", "application/vnd.openxmlformats"),
        ("/code.py", "def f()", "code", "text/x-python"),
        ("/packed", "packed words", "packed", "text/plain"),
        ("", "the start page", "127.0.0", "text/plain"),
    ],
)
def test_the_content_type_chooses_the_loader_and_the_charset_counts(
    base: str, path: str, says: str, title: str, kind: str
) -> None:
    found = load(base + path)
    assert says in found.text
    assert found.title.startswith(title)
    assert found.media_type.startswith(kind)


def test_what_has_not_changed_is_not_sent_again(base: str) -> None:
    url = f"{base}/tagged"
    found = load(url)
    assert found.metadata["etag"] == '"v1"'
    for key in ("etag", "last_modified"):
        known = KnownPage(source_sha256="0" * 64, metadata={key: found.metadata[key]})
        source = WebSource(url, known=known, allow_private=True)
        assert source.look(DEFAULT_LIMITS).sha256 == known.source_sha256
        assert source.load(DEFAULT_LIMITS).text == found.text  # asked for again, all of it


@pytest.mark.parametrize("metadata", [{}, {"etag": '"v1"', "fetched_from": "http://a.example/"}])
def test_an_unasked_not_modified_is_a_failure(base: str, metadata: dict[str, str | int]) -> None:
    known = KnownPage(source_sha256="0" * 64, metadata=metadata)
    for source in (
        WebSource(f"{base}/unasked", known=known, allow_private=True),
        WebSource(f"{base}/unasked", allow_private=True),
    ):
        refused = source.look(DEFAULT_LIMITS).refused
        assert refused is not None
        assert refused.code is FailureCode.HTTP_STATUS
        assert "answered 304 Not Modified" in refused.reason
        with pytest.raises(WebSourceError, match="answered 304"):
            source.load(DEFAULT_LIMITS)


def test_a_tag_is_sent_to_the_address_alone_that_it_came_from(base: str) -> None:
    known = KnownPage(source_sha256="0" * 64, metadata={"etag": '"v1"'})
    look = WebSource(f"{base}/moved", known=known, allow_private=True).look(DEFAULT_LIMITS)
    assert look.sha256 == sha256_hex(b"the first version")  # the tag was one of `/moved`
    found = load(f"{base}/moved")
    known = KnownPage(source_sha256="0" * 64, metadata=found.metadata)
    look = WebSource(f"{base}/moved", known=known, allow_private=True).look(DEFAULT_LIMITS)
    assert look.sha256 == known.source_sha256  # the tag was one of `/tagged`


def test_a_look_fetches_and_a_load_reads_what_came(base: str) -> None:
    before = Handler.num_asked
    source = WebSource(f"{base}/bees", allow_private=True)
    look = source.look(DEFAULT_LIMITS)
    assert (look.sha256, look.num_bytes) == (sha256_hex(WEB_PAGE.encode()), len(WEB_PAGE))
    assert source.load(DEFAULT_LIMITS).source_sha256 == look.sha256
    assert Handler.num_asked == before + 1
    assert source.root == ""


def test_a_look_at_what_cannot_be_fetched_is_a_report(base: str) -> None:
    refused = WebSource(f"{base}/absent", allow_private=True).look(DEFAULT_LIMITS).refused
    assert refused is not None
    assert (refused.code, refused.uri) == (FailureCode.HTTP_STATUS, f"{base}/absent")


def test_redirects_are_followed_and_named(base: str) -> None:
    found = load(f"{base}/to?/to?/bees")
    assert found.uri == f"{base}/to?/to?/bees"
    assert found.metadata["fetched_from"] == f"{base}/bees"


def test_a_redirect_in_utf_8_is_followed(base: str) -> None:
    assert load(f"{base}/umlaut").text.strip() == "the page of sizes"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/to?http://[bad/x", r"redirect: this is no URL: 'http://\[bad/x'"),
        ("/to?http://a.example:99999/", "redirect: this is no URL"),
        ("/to?ftp://a.example/", "redirect: only http and https"),
        ("/to?http://127.0.0.2/", r"redirect: 127\.0\.0\.2 has the address"),
        ("/to?/absent", "redirect: 127.* answered 404"),
        ("/to?/to?/picture", "redirect: its content type"),
    ],
)
def test_an_error_says_that_the_target_of_a_redirect_is_meant(
    base: str, path: str, said: str
) -> None:
    refused = WebSource(base + path, allow_private=True).look(DEFAULT_LIMITS).refused
    assert refused is not None
    assert re.match("the target of its " + said, refused.reason)


@pytest.mark.parametrize(
    ("path", "said", "code"),
    [
        ("/absent", "answered 404 Not Found", FailureCode.HTTP_STATUS),
        ("/picture", "content type is image/png", FailureCode.UNSUPPORTED),
        ("/odd", "packed by br", FailureCode.UNSUPPORTED),
        ("/endless", "more than 1000000 bytes", FailureCode.TOO_LARGE),
        ("/bomb", "more than 1000000 bytes", FailureCode.TOO_LARGE),
        ("/drip", "took more than 0.5 s", FailureCode.TIMEOUT),
        ("/slow-head", "took more than 0.5 s", FailureCode.TIMEOUT),
        ("/half-packed", "packed content is cut short", FailureCode.UNREACHABLE),
        ("/cut", "no answer that can be read", FailureCode.UNREACHABLE),
        ("/to?" * 6 + "/bees", "sent on more than 5 times", FailureCode.UNREACHABLE),
        ("/to?file:///etc/passwd", "only http and https", FailureCode.UNSUPPORTED),
        ("/to?http://127.0.0.2/", "127.0.0.2, which is not public", FailureCode.ADDRESS_REFUSED),
        ("/to?http://169.254.169.254/x", "which is not public", FailureCode.ADDRESS_REFUSED),
        ("/to?http://[::ffff:10.0.0.1]/", "which is not public", FailureCode.ADDRESS_REFUSED),
    ],
)
def test_what_cannot_be_fetched_is_refused_by_name_and_in_time(
    base: str, path: str, said: str, code: FailureCode
) -> None:
    limits = FetchLimits(wall_s=0.5 if "took" in said else 10, body_bytes=1_000_000)
    started = time.monotonic()
    with pytest.raises(WebSourceError, match=said) as caught:
        load(base + path, limits=limits)
    assert caught.value.code is code
    assert time.monotonic() - started < 20


def test_what_came_and_is_not_what_it_says_is_refused_by_its_loader(base: str) -> None:
    with pytest.raises(ParseError, match=r"the name ends in \.pdf but the content"):
        load(f"{base}/wrong")


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with pytest.raises(WebSourceError) as caught:
        load("http://127.0.0.1:1/")
    assert caught.value.code is FailureCode.UNREACHABLE


def test_a_private_address_is_refused_unless_allowed(base: str) -> None:
    with pytest.raises(WebSourceError, match="not public") as caught:
        load(f"{base}/bees", private=False)
    assert caught.value.code is FailureCode.ADDRESS_REFUSED


def test_a_name_is_looked_up_once_and_connected_to_as_it_was_checked(base: str) -> None:
    """The second answer of a hostile name server would lead inside."""
    port = int(base.rsplit(":", 1)[1])
    asked: list[str] = []

    def turning(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    found = load(f"http://bees.example:{port}/bees", resolve=turning)
    assert found.title == "Keeping bees & wasps"
    assert asked == ["bees.example"]


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    def mixed(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(WebSourceError, match=r"bees\.example has the address 10\.0\.0\.1"):
        load("http://bees.example/", private=False, resolve=mixed)


def test_a_host_nobody_knows_is_unreachable() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(WebSourceError, match="cannot be found: Name or service not known"):
        load("http://bees.example/", private=False, resolve=unknown)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2001:4860:4860::8888", True), ("127.0.0.1", False), ("::1", False),
        ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False), ("0.0.0.0", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("224.0.0.1", False),
        ("255.255.255.255", False), ("fe80::1", False), ("fe80::1%eth0", False),
        ("fc00::1", False), ("ff02::1", False), ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False), ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False), ("::", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://a.example/x", "only http and https are fetched, not ftp"),
        ("a.example", "only http and https"),
        ("http:///x", "names no host"),
        ("http://user:pass@a.example/", "user name or password"),
        ("http://a.example:99999/", "this is no URL"),
        ("http://a.example/a b", "no space"),
        ("http://a.example/" + "x" * 2000, "at most 2000 characters"),
        ("http://[::1/", "this is no URL"),
    ],
)
def test_what_is_no_url_to_fetch_is_refused(url: str, said: str) -> None:
    with pytest.raises(WebSourceError, match=said):
        web_address(url)


def test_the_parts_of_a_url() -> None:
    found = web_address("https://Bücher.example/ä?q=ü#part")
    assert (found.host, found.port, found.is_secure) == ("xn--bcher-kva.example", 443, True)
    assert found.target == "/%C3%A4?q=%C3%BC"
    assert found.url == "https://bücher.example/ä?q=ü"


def test_scheme_and_host_are_in_lower_case_and_the_path_stays(base: str) -> None:
    url = base.replace("http", "HTTP") + "/bees?A=B#C"
    assert WebSource(url).uri == f"{base}/bees?A=B"
    assert WebSource("HTTPS://Bees.Example?A").uri == "https://bees.example?A"
    assert web_address("Http://Bees.Example:80/A").url == "http://bees.example:80/A"
    assert "fetched_from" not in load(base.replace("http", "HTTP") + "/bees").metadata


@pytest.mark.parametrize("bad", [{"wall_s": 0}, {"body_bytes": 0}, {"redirects": -1}])
def test_limits_must_be_positive(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        FetchLimits(**bad)
