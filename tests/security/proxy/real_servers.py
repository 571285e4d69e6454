"""Five real servers, each of which says how it reads a path: `open` or `closed`, and the path itself.

Their readings differ (dot segments, encoded slashes, `;`, doubled slashes, broken UTF-8): what the proxy lets through
for `/open/**` none of them may read as anything else. Each runs from a folder of its own, unprivileged where it can.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_S = 30.0
TOMCAT = Path("/usr/share/tomcat10")
APACHE_MODULES = Path("/usr/lib/apache2/modules")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server made of a path."""

    place: str
    """`open`, `closed`, or the status of its own refusal."""
    path: str = ""
    """As it reads it; empty in a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    name: str
    package: str
    """What to install to have it."""
    is_installed: Callable[[], bool]
    write: Callable[[Path, int], Sequence[str]]
    """Write its settings into a folder and return its command."""


@dataclass(frozen=True, slots=True)
class Running:
    server: Server
    port: int


def reading_of(status: int, headers: Mapping[str, str], body: bytes) -> Reading:
    """Read what one of these servers answered. Those that cannot answer with a text redirect to one."""
    location = urllib.parse.urlsplit(headers.get("location", ""))
    if location.path.startswith("/is-"):
        place, _, rest = location.path.removeprefix("/is-").partition("/")
        query = urllib.parse.parse_qs(location.query).get("path")
        return Reading(place, query[0] if query else urllib.parse.unquote(f"/{rest}"))
    place, _, path = body.decode("utf-8", "replace").strip().partition(" ")
    return Reading(place, path) if place in ("open", "closed") else Reading(str(status))


def nginx(folder: Path, port: int) -> Sequence[str]:
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/log; events {{}}\n"
        f"http {{ access_log off; default_type text/plain; {temporary} server {{ listen 127.0.0.1:{port};\n"
        '  location = /open { return 200 "open $uri"; }\n'
        '  location /open/ { return 200 "open $uri"; }\n'
        '  location / { return 200 "closed $uri"; }\n'
        "} }\n"
    )
    return ("nginx", "-e", f"{folder}/log", "-c", f"{folder}/nginx.conf")


def apache(folder: Path, port: int) -> Sequence[str]:
    (folder / "empty").mkdir()
    user = "User nobody\nGroup nogroup\n" if os.geteuid() == 0 else ""
    (folder / "apache.conf").write_text(
        f"ServerName test\nListen 127.0.0.1:{port}\nPidFile {folder}/pid\nErrorLog {folder}/log\nMutex pthread\n{user}"
        f"LoadModule mpm_event_module {APACHE_MODULES}/mod_mpm_event.so\n"
        f"LoadModule authz_core_module {APACHE_MODULES}/mod_authz_core.so\n"
        f"DocumentRoot {folder}/empty\n"
        'ErrorDocument 404 "closed %{REQUEST_URI}"\nErrorDocument 403 "closed %{REQUEST_URI}"\n'
        '<Location "/open">\n'
        'ErrorDocument 404 "open %{REQUEST_URI}"\nErrorDocument 403 "open %{REQUEST_URI}"\n'
        "</Location>\n"
    )
    return ("apache2", "-d", str(folder), "-f", f"{folder}/apache.conf", "-DFOREGROUND")


def lighttpd(folder: Path, port: int) -> Sequence[str]:
    (folder / "empty").mkdir()
    (folder / "lighttpd.conf").write_text(
        f'server.document-root = "{folder}/empty"\nserver.bind = "127.0.0.1"\nserver.port = {port}\n'
        f'server.errorlog = "{folder}/log"\nserver.modules = ("mod_redirect")\n'
        '$HTTP["url"] =~ "^/open(/|$)" { url.redirect = ("" => "/is-open${url.path}") }\n'
        'else $HTTP["url"] =~ "" { url.redirect = ("" => "/is-closed${url.path}") }\n'
    )
    return ("lighttpd", "-D", "-f", f"{folder}/lighttpd.conf")


def caddy(folder: Path, port: int) -> Sequence[str]:
    (folder / "Caddyfile").write_text(
        f"{{\n\tadmin off\n\tauto_https off\n\tstorage file_system {folder}\n}}\n"
        f"http://127.0.0.1:{port} {{\n"
        '\thandle /open {\n\t\trespond "open {http.request.uri.path}"\n\t}\n'
        '\thandle /open/* {\n\t\trespond "open {http.request.uri.path}"\n\t}\n'
        '\thandle {\n\t\trespond "closed {http.request.uri.path}"\n\t}\n'
        "}\n"
    )
    return ("caddy", "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile")


def tomcat(folder: Path, port: int) -> Sequence[str]:
    for name in ("conf/Catalina/localhost", "webapps/ROOT", "logs", "temp", "work"):
        (folder / name).mkdir(parents=True)
    (folder / "conf" / "server.xml").write_text(
        '<Server port="-1"><Service name="Catalina">\n'
        f'<Connector port="{port}" address="127.0.0.1"/>\n'
        '<Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps">\n'
        '<Valve className="org.apache.catalina.valves.rewrite.RewriteValve"/>\n'
        "</Host></Engine></Service></Server>\n"
    )
    (folder / "conf" / "Catalina" / "localhost" / "rewrite.config").write_text(
        "RewriteRule ^(/open(?:/.*)?)$ /is-open?path=$1 [R=302,B,L]\n"
        "RewriteCond %{REQUEST_URI} !^/is-\nRewriteRule ^(/.*)$ /is-closed?path=$1 [R=302,B,L]\n"
    )
    jars = f"{TOMCAT}/bin/bootstrap.jar:{TOMCAT}/bin/tomcat-juli.jar"
    return (
        *("java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jars),
        *(f"-Dcatalina.home={TOMCAT}", f"-Dcatalina.base={folder}", f"-Djava.io.tmpdir={folder}/temp"),
        *("org.apache.catalina.startup.Bootstrap", "start"),
    )


def has(command: str) -> Callable[[], bool]:
    return lambda: shutil.which(command) is not None


SERVERS = (
    Server(name="nginx", package="nginx-light", is_installed=has("nginx"), write=nginx),
    Server(name="apache", package="apache2-bin", is_installed=has("apache2"), write=apache),
    Server(name="lighttpd", package="lighttpd", is_installed=has("lighttpd"), write=lighttpd),
    Server(name="caddy", package="caddy", is_installed=has("caddy"), write=caddy),
    Server(
        name="tomcat",
        package="tomcat10",
        is_installed=lambda: has("java")() and (TOMCAT / "bin" / "bootstrap.jar").exists(),
        write=tomcat,
    ),
)


@contextmanager
def running(server: Server, folder: Path) -> Iterator[Running]:
    """Run a server until the context ends; raises TimeoutError if it does not answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    folder.chmod(0o755)
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            server.write(folder, port), cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
    try:
        wait_for(port, process, folder)
        yield Running(server, port)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)  # another process's start cannot be waited for in another way
        else:
            return
    raise TimeoutError((folder / "said").read_text("utf-8", "replace"))
