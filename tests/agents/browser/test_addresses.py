"""Where the browser may be sent."""

from __future__ import annotations

import pytest

from agents.browser.addresses import BadAddress, build_bypass, read_address
from agents.browser.command import FLAGS, build_command, build_environment


@pytest.mark.parametrize(
    ("words", "url", "port"),
    [
        ("https://shop.example/a?b#c", "https://shop.example/a?b#c", 0),
        (" shop.example ", "https://shop.example", 0),
        ("http://localhost:8000/x", "http://localhost:8000/x", 8000),
        ("http://LOCALHOST./", "http://LOCALHOST./", 80),
        ("https://[::1]/", "https://[::1]/", 443),
        ("http://app.localhost:81/", "http://app.localhost:81/", 81),
        ("http://10.0.0.1/", "http://10.0.0.1/", 0),
    ],
)
def test_pages_of_the_web_and_own_ports_are_opened(words: str, url: str, port: int) -> None:
    """A name without a scheme is the web's; an own port is named."""
    address = read_address(words, 3128)
    assert (address.url, address.local_port) == (url, port)


@pytest.mark.parametrize(
    "words",
    [
        "file:///etc/passwd",
        "chrome://crash",
        "view-source:https://shop.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "about:blank",
        "blob:https://shop.example/1",
        "devtools://devtools/bundled/inspector.html",
        "ftp://shop.example/",
        "",
        "https://",
        "https://a b/",
        "https://shop.example/\u202e",
        "https://shop.example:99999/",
        "https://[::1/",
        "https://me:secret@shop.example/",
        "http://127.0.0.1:3128/m/main/v1/messages",
        "http://localhost:3128/",
        "https://shop.example/" + "x" * 9_000,
    ],
)
def test_nothing_else_is_opened(words: str) -> None:
    """Neither files nor Chromium's own pages, nor what is no address, nor the way to the proxy."""
    with pytest.raises(BadAddress):
        read_address(words, 3128)


def test_no_window_reaches_more_than_one_port_of_the_container() -> None:
    """The usual ones none: without the word for it, Chromium would reach all of them."""
    assert build_bypass(0) == "<-loopback>"
    assert build_bypass(8000) == "<-loopback>;localhost:8000;127.0.0.1:8000;[::1]:8000"
    assert f"--proxy-bypass-list={build_bypass(0)}" in FLAGS


def test_chromium_is_started_without_a_port_and_with_nothing_of_the_agents_environment() -> None:
    """What drives it is a socket that no other process has; keys and proxies of the environment stay outside."""
    command = build_command("/usr/lib/chromium/x", "/tmp/browser", 3128, 9)
    assert command[:3] == ("bash", "-c", 'exec "$@" 3<&9 4>&9 9>&-')
    assert not [word for word in command if word.startswith("--remote-debugging") and word != "--remote-debugging-pipe"]
    assert "--proxy-server=http://127.0.0.1:3128" in command
    assert set(build_environment("/tmp/browser")) == {"HOME", "TMPDIR", "PATH", "LANG"}
