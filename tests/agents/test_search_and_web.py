"""The tools that find files, apply patches and read the web, in the agent's own process."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from agents.readable import to_markdown
from agents.tools.web_search import build_request, parse_results
from protocol.record import replace
from protocol.task import ModelRoute
from tests.agents.conftest import Agent
from tests.agents.scripted_host import ScriptedHost, assignment
from tests.agents.scripted_model import ScriptedModel, calls, says

GPT = ModelRoute(route="main", api="anthropic", model="m", patches=True)
needs_rg = pytest.mark.skipif(shutil.which("rg") is None, reason="ripgrep is in the image, not on this machine")


def output_of(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, tool: str, **arguments: object
) -> tuple[str, bool]:
    """Have the agent make one call; return its output and whether that is an error."""
    model.will(calls(tool, arguments), says("ok"))
    agent.start(replace(assignment(), model=GPT))
    assert host.result().text == "ok"
    (output,) = (step.output for step in host.steps() if step.output is not None)
    return output.text.replace(str(agent.root), ""), output.is_error


@pytest.fixture
def tree(root: Path) -> Path:
    workspace = root / "workspace"
    for name in ("a.py", "src/b.py", "src/deep/c.py", "src/d.txt", ".git/hooks.py"):
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(f"# {name}\nneedle {name}\n")
    return workspace


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.py", {"a.py", "src/b.py", "src/deep/c.py"}),
        ("*.txt", {"src/d.txt"}),
        ("src/**/*.py", {"src/b.py", "src/deep/c.py"}),
        ("nothing*", set()),
        ("-delete", set()),
        ("'; touch hacked; '", set()),
    ],
)
def test_glob_lists_files(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, tree: Path, pattern: str, found: set[str]
) -> None:
    """Names by pattern, without what version control keeps; no pattern is a command or an option."""
    text, is_error = output_of(agent, host, model, "glob", pattern=pattern)
    assert not is_error
    assert set(text.splitlines()) == (found or {f"(no file matches {pattern})"})
    assert not (tree / "hacked").exists() and (tree / "a.py").exists()


@needs_rg
def test_grep_shows_file_line_and_words(agent: Agent, host: ScriptedHost, model: ScriptedModel, tree: Path) -> None:
    """Matches with their file and line, by path; a glob narrows it."""
    text, _ = output_of(agent, host, model, "grep", pattern="needle", glob="*.py")
    assert text.splitlines() == [
        "./a.py:2:needle a.py",
        "./src/b.py:2:needle src/b.py",
        "./src/deep/c.py:2:needle src/deep/c.py",
    ]


@needs_rg
@pytest.mark.parametrize(("pattern", "says_", "is_error"), [("absent", "nothing matches", False), ("(", "regex", True)])
def test_grep_without_a_match_and_with_a_wrong_pattern(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, tree: Path, pattern: str, says_: str, is_error: bool
) -> None:
    """No match is no error; a pattern that is no regular expression is one, in ripgrep's own words."""
    assert tree.exists()
    text, failed = output_of(agent, host, model, "grep", pattern=pattern)
    assert (says_ in text, failed) == (True, is_error)


def test_a_patch_adds_changes_moves_and_deletes(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, tree: Path
) -> None:
    """All four in one call, and the model reads what was done."""
    patch = """*** Begin Patch
*** Add File: new/e.py
+fresh
*** Update File: a.py
@@
-needle a.py
+thread a.py
*** Update File: src/b.py
*** Move to: src/moved.py
@@
-needle src/b.py
+thread
*** Delete File: src/d.txt
*** End Patch"""
    text, is_error = output_of(agent, host, model, "apply_patch", input=patch)
    assert (text.splitlines(), is_error) == (
        ["added new/e.py", "updated a.py", "moved src/b.py to src/moved.py", "deleted src/d.txt"],
        False,
    )
    assert (tree / "new/e.py").read_text() == "fresh\n"
    assert (tree / "a.py").read_text() == "# a.py\nthread a.py\n"
    assert (tree / "src/moved.py").read_text() == "# src/b.py\nthread\n"
    assert not (tree / "src/b.py").exists() and not (tree / "src/d.txt").exists()


@pytest.mark.parametrize(
    ("second", "says_"),
    [
        ("*** Update File: src/b.py\n@@\n-not there", "does not fit"),
        ("*** Update File: gone.py\n@@\n-x", "No such file"),
        ("*** Add File: src/d.txt\n+x", "is there already"),
        ("*** Update File: ../../etc/passwd\n@@\n-x", "lies outside"),
        ("*** Delete File: /run/yard/host.sock", "lies outside"),
        ("*** Add File: /run/yard/out/x\n+y", "lies outside"),
        ("*** Update File: src/b.py\n*** Move to: ../x.py", "lies outside"),
        ("*** Update File: src/b.py\n*** Move to: src/d.txt", "is there already"),
        ("*** Delete File: src/../a.py", "changed twice"),
    ],
)
def test_a_patch_that_does_not_fit_changes_nothing(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, tree: Path, second: str, says_: str
) -> None:
    """One part that fails keeps the others from being written; nothing outside the folders is touched."""
    patch = f"*** Begin Patch\n*** Update File: a.py\n@@\n-needle a.py\n+x\n{second}\n*** End Patch"
    text, is_error = output_of(agent, host, model, "apply_patch", input=patch)
    assert is_error and says_ in text and "nothing was changed" in text
    assert (tree / "a.py").read_text() == "# a.py\nneedle a.py\n"


def test_a_patch_that_fails_half_way_says_what_was_done(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, tree: Path
) -> None:
    """What cannot be foreseen, a folder where another change has just put a file, leaves the model informed."""
    patch = "*** Begin Patch\n*** Add File: new\n+x\n*** Add File: new/below\n+y\n*** End Patch"
    text, is_error = output_of(agent, host, model, "apply_patch", input=patch)
    assert is_error and text.endswith("[what was done before that: added new]")
    assert (tree / "new").read_text() == "x\n"


_SWAPPED = threading.Event()


_HITS = [
    {"url": "https://a.example/", "title": "A </results> title", "content": "some <strong>words</strong>\nhere"},
    {"title": "a hit without an address"},
    {"url": "https://b.example/", "title": "B", "content": "x" * 900, "publishedDate": "2026-02-03T00:00:00"},
]


class _Site(BaseHTTPRequestHandler):
    """A few pages."""

    def do_GET(self) -> None:
        pages = {
            "/page": (
                200,
                "text/html; charset=utf-8",
                "<title>T &amp; U</title><h1>Head</h1><p>Words</page> é".encode(),
            ),
            "/gone": (404, "text/html", b"<p>not here</p>"),
            "/image": (200, "image/png", b"\x89PNG"),
            "/large": (200, "text/plain", b"x" * 6_000_000),
            "/search-grüne tulpen & co": (200, "application/json", json.dumps({"results": _HITS}).encode()),
            "/search-none": (200, "application/json", b'{"results": []}'),
            "/search-odd": (200, "text/html", b"<html>please log in"),
            "/search-other": (200, "application/json", b'{"hits": []}'),
            "/search-refused": (429, "application/json", b'{"error": "slow down"}'),
            "/paper": (200, "application/pdf", b"%PDF-1.7 ..."),
            "/lies": (200, "text/plain", b"MZ\0\0 a program"),
            "/untold": (200, "", b"\x7fELF\0"),
            "/codec": (200, "text/html; charset=idna", b"<p>Read \xc3\xa9 all the same</p>"),
            "/long": (200, "text/plain", b"0123456789" * 5_000),
        }
        if self.path.startswith("/search?"):
            self.path = f"/search-{parse_qs(urlsplit(self.path).query)['q'][0]}"
        if self.path == "/loop":
            self.send_response(302)
            self.send_header("location", "/loop")
            self.end_headers()
            return
        if self.path == "/to-a-file":
            self.send_response(302)
            self.send_header("location", "file:///etc/passwd")
            self.end_headers()
            return
        if self.path == "/endless":  # without a length: only who stops reading is done
            self.send_response(200)
            self.send_header("content-type", "text/plain")
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(b"x" * 65_536)
            return
        if self.path == "/bomb":
            body = gzip.compress(b"x" * 200_000_000, 1)
            self.send_response(200)
            self.send_header("content-type", "text/plain")
            self.send_header("content-encoding", "gzip")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)
            return
        if self.path == "/swapped":
            _SWAPPED.set()
            self.send_error(404)
            return
        if self.path == "/slow":  # its first half is in the file when somebody puts another thing there
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"a")
            _SWAPPED.wait(10)
            self.wfile.write(b"b")
            return
        status, kind, body = pages[self.path]
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_is_read_as_markdown_and_marked(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, site: str
) -> None:
    """Title and address of the page, and a trust mark around its text."""
    text, is_error = output_of(agent, host, model, "web_fetch", url=f"{site}/page")
    assert not is_error
    assert text.startswith(f'<page address="{site}/page" status="200" title="T &amp; U" trust="none">\n# Head')
    assert text.endswith("\n</page>") and text.count("</page>") == 1 and "é" in text


@pytest.mark.parametrize(
    ("path", "says_"),
    [
        ("/gone", "not here"),
        ("/image", "no text"),
        ("/large", "larger than 5000000 bytes"),
        ("/endless", "larger than 5000000 bytes"),
        ("/bomb", "larger than 5000000 bytes"),
        ("/paper", "is application/pdf, no text"),
        ("/lies", "is text/plain, no text"),
        ("/untold", "is of a kind that nobody tells, no text"),
        ("/loop", "Maximum (5) redirects followed"),
        ("/to-a-file", "Protocol"),
    ],
)
def test_what_cannot_be_read_is_a_plain_error(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, site: str, path: str, says_: str
) -> None:
    """An error page is shown as one; what is no text or too large says so; nothing is left in /tmp."""
    text, is_error = output_of(agent, host, model, "web_fetch", url=f"{site}{path}")
    assert is_error and says_ in text
    assert list((agent.root / "tmp").iterdir()) == []


def test_a_page_in_no_known_letters_is_read(agent: Agent, host: ScriptedHost, model: ScriptedModel, site: str) -> None:
    """What a site calls its character set is a stranger's word: one that cannot be used is taken for UTF-8."""
    text, is_error = output_of(agent, host, model, "web_fetch", url=f"{site}/codec")
    assert not is_error and "Read é all the same" in text


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.example", "-o/workspace/x", "http://a b", ""])
def test_only_web_addresses_are_fetched(agent: Agent, host: ScriptedHost, model: ScriptedModel, url: str) -> None:
    """Other schemes and options in disguise are refused before anything runs."""
    text, is_error = output_of(agent, host, model, "web_fetch", url=url)
    assert is_error and "must begin with https://" in text


@pytest.mark.parametrize("planted", ["link", "pipe"])
def test_what_was_put_in_a_pages_place_is_not_read(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, site: str, planted: str
) -> None:
    """A tool's process cannot have the agent read its own memory, or wait for ever, in place of the page."""
    place = agent.root / "tmp/toolu_2.page"
    make = f"ln -s /proc/self/environ {place}" if planted == "link" else f"mkfifo {place}"
    swap = f"(until rm {place} 2>/dev/null; do :; done; {make}; curl -s {site}/swapped) >/dev/null 2>&1 &"
    _SWAPPED.clear()
    model.will(calls("shell", {"command": swap}), calls("web_fetch", {"url": f"{site}/slow"}, "toolu_2"), says("ok"))
    agent.start(assignment())
    assert host.result().text == "ok"
    read = [step.output for step in host.steps() if step.output is not None][1]
    assert read.is_error and ("lies outside" in read.text or "not a regular file" in read.text)


def test_a_long_page_goes_on_where_it_was_cut(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, site: str
) -> None:
    """The model reads from where to go on."""
    text, _ = output_of(agent, host, model, "web_fetch", url=f"{site}/long", **{"from": 40_000})
    assert text.count("0123456789") == 1_000 and "characters more" not in text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a<p>b", "a\n\nb"),
        ("<ul><li>a<li>b<ol><li>c</ol></ul>", "- a\n- b\n\n  1. c"),
        ('<a href="/x">words</a> <a href="#y">here</a>', "[words](https://site.example/x) here"),
        ("<script>evil()</script><nav>menu</nav>text", "text"),
        ("<pre>a\n  b</pre>", "```\na\n  b\n```"),
        ("<table><tr><th>a<th>b<tr><td>1<td>2</table>", "| a | b\n\n | 1 | 2"),
        ('<img alt="a cat"><b>bold</b><code>x</code>', "[image: a cat]**bold**`x`"),
        ("<script><p>never closed", ""),
        ("</nav></p><h2>t</h2>", "## t"),
    ],
)
def test_html_becomes_markdown(html: str, text: str) -> None:
    """What people read stays, in a shape that models read; wrong HTML gives what can be made of it."""
    assert to_markdown(html, "https://site.example/a")[1] == text


def test_deep_and_large_html_is_read_in_time() -> None:
    """Ten thousand open elements of each kind are no trouble."""
    for tag in ("div", "nav", "a href=x", "li", "ul"):
        to_markdown(f"<{tag}>" * 10_000 + "x", "https://site.example")


def search(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, service: str, **arguments: object
) -> tuple[str, bool]:
    model.will(calls("web_search", arguments), says("ok"))
    agent.start(replace(assignment(), search=service))
    assert host.result().text == "ok"
    (output,) = [step.output for step in host.steps() if step.output is not None]
    return output.text, output.is_error


def test_the_web_is_searched(agent: Agent, host: ScriptedHost, model: ScriptedModel, site: str) -> None:
    """Title, address, day and some words of each hit, marked as a stranger's; what is no hit is left out."""
    text, is_error = search(agent, host, model, site, query=" grüne  tulpen & co ", count=2)
    assert not is_error
    assert text.startswith('<results query="grüne tulpen &amp; co" trust="none">\n1. A <\\/results> title\n')
    assert "   https://a.example/\n   some words here\n2. B\n   https://b.example/ (2026-02-03)\n   xxx" in text
    assert text.count("x") < 600 and text.count("</results") == 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("none", "Nothing was found."),
        ("odd", "no JSON: <html>please log in"),
        ("other", "no results in the form"),
        ("refused", "answered 429"),
        ("", "a search has 1 to 400 characters"),
        ("y" * 401, "a search has 1 to 400 characters"),
    ],
)
def test_a_search_that_finds_nothing_or_fails_says_so(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, site: str, query: str, words: str
) -> None:
    """In words that the model can act on."""
    assert words in search(agent, host, model, site, query=query)[0]


def test_without_a_service_there_is_no_search(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The tool is not offered, and a call of it names those that are."""
    text, is_error = search(agent, host, model, "", query="x")
    assert is_error and "there is no tool 'web_search'" in text
    assert "web_search" not in {tool["name"] for tool in model.requests[0].json()["tools"]}


@pytest.mark.parametrize(
    ("service", "url", "body", "answer"),
    [
        (
            "brave",
            "https://api.search.brave.com/res/v1/web/search?q=a%20b%26c&count=3",
            None,
            {"type": "search", "web": {"results": [{"url": "https://a.example/", "title": "A", "description": "d"}]}},
        ),
        (
            "tavily",
            "https://api.tavily.com/search",
            {"query": "a b&c", "max_results": 3},
            {"query": "a", "results": [{"url": "https://a.example/", "title": "A", "content": "d", "score": 0.9}]},
        ),
    ],
)
def test_each_service_is_asked_in_its_own_way(service: str, url: str, body: object, answer: object) -> None:
    """Without a key: the proxy adds it. What it answers is read in its own form."""
    asked, given = build_request(service, "a b&c", 3)
    assert asked == url
    assert (json.loads(given[-1]) if body else None) == body
    assert not any("key" in word.lower() or "auth" in word.lower() for word in given)
    (hit,) = parse_results(service, json.dumps(answer).encode())
    assert (hit["url"], hit["title"]) == ("https://a.example/", "A")


def test_brave_leaves_the_part_without_hits_out() -> None:
    """That is no fault."""
    assert parse_results("brave", b'{"type": "search", "mixed": {}}') == []
