"""How Chromium is started. Pure."""

from __future__ import annotations

from agents.browser.addresses import build_bypass

WIDTH, HEIGHT = 1280, 800
"""Of a window, in pixels."""

FLAGS = (
    "--headless",
    # Its sandbox wants user namespaces or a set-id program, and the container has neither: that is the sandbox here.
    "--no-sandbox",
    "--no-zygote",
    "--no-first-run",
    # Two descriptors instead of a port, which every process of the container could use.
    "--remote-debugging-pipe",
    # Whoever takes a renderer over has the container, sandbox or no: one process for all frames of a page saves memory.
    "--disable-site-isolation-trials",
    "--disable-features=IsolateOrigins,site-per-process,SpareRendererForSitePerProcess,Translate,MediaRouter,"
    "OptimizationHints,InterestFeedContentSuggestions,AutofillServerCommunication,DialMediaRouteProvider,"
    "CertificateTransparencyComponentUpdater,NetworkTimeServiceQuerying",
    "--enable-features=NetworkServiceInProcess2",
    "--in-process-gpu",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--disable-dev-shm-usage",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disk-cache-size=16777216",
    "--media-cache-size=16777216",
    # What would ask its maker, or anybody, about news.
    "--disable-background-networking",
    "--disable-client-side-phishing-detection",
    "--disable-component-extensions-with-background-pages",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--disable-notifications",
    "--metrics-recording-only",
    "--no-pings",
    "--password-store=basic",
    "--mute-audio",
    # Nothing but the proxy: no UDP, no look-up of names, no port of this container.
    "--disable-quic",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
    f"--proxy-bypass-list={build_bypass(0)}",
    f"--window-size={WIDTH},{HEIGHT}",
)


def build_command(program: str, folder: str, proxy_port: int, descriptor: int) -> tuple[str, ...]:
    """Return the command; what comes in and goes out by `descriptor` is what Chromium has as 3 and 4."""
    own = (f"--user-data-dir={folder}/profile", f"--proxy-server=http://127.0.0.1:{proxy_port}", "about:blank")
    return ("bash", "-c", f'exec "$@" 3<&{descriptor} 4>&{descriptor} {descriptor}>&-', "bash", program, *FLAGS, *own)


def build_environment(folder: str) -> dict[str, str]:
    """Return Chromium's whole environment: its home is the folder, where it finds the authorities that it trusts."""
    return {"HOME": folder, "TMPDIR": folder, "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def build_trust_commands(folder: str, authority: str) -> tuple[tuple[str, ...], ...]:
    """Return the commands that have Chromium trust the proxy's authority, and no more than to name servers."""
    database = f"sql:{folder}/.pki/nssdb"
    return (
        ("certutil", "-N", "-d", database, "--empty-password"),
        ("certutil", "-A", "-d", database, "-t", "C,,", "-n", "nightyard", "-i", authority),
    )
