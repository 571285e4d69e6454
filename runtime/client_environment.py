"""The environment in which ordinary tools find the proxy and trust it, without being told by anybody. Pure.

A container is given it (`container_command.py`), and a tool on the host that goes through the loopback door
(`cli/token.py`). What each variable is for was tried with the tool itself: `tests/clients/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from protocol.task import ModelRoute

CA_VARIABLES = (
    "SSL_CERT_FILE",  # OpenSSL: Python's ssl, aiohttp, httpx, Go, Ruby, uv, many in Rust
    "REQUESTS_CA_BUNDLE",  # Python's requests
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",  # git with GnuTLS, which asks no other
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",  # Node and what is made with it or with Bun
    "NPM_CONFIG_CAFILE",
    "YARN_HTTPS_CA_FILE_PATH",
    "DENO_CERT",
    "CARGO_HTTP_CAINFO",
    "BUNDLE_SSL_CA_CERT",  # Ruby's Bundler
    "AWS_CA_BUNDLE",  # the AWS command and botocore
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",  # gcloud
    "HTTPLIB2_CA_CERTS",  # Google's Python clients
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "CODEX_CA_CERTIFICATE",  # together with SSL_CERT_FILE
)
"""No two tools agree. All name our own authority alone: everything that leaves is signed by it."""

QUIET = {
    # Asking nobody, at a terminal that is not there, is how git would wait for ever.
    "GIT_TERMINAL_PROMPT": "0",
    # What asks its maker about news at every run would be refused at every run.
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "NPM_CONFIG_UPDATE_NOTIFIER": "false",
    "NPM_CONFIG_FUND": "false",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
}
"""For tools that nobody watches."""

NOT_PROXIED = "127.0.0.1,localhost"
OTHER_KEYS = frozenset(("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"))
"""What the service of `ANTHROPIC_AUTH_TOKEN` takes as a key too: with both, a tool would not know which to show."""


def build_client_environment(proxy: str, ca_file: str) -> dict[str, str]:
    """Return the variables for tools that reach the proxy at `proxy` (an http address, a token in it if need be) and
    trust the authority in `ca_file`; empty: there is none yet."""
    variables = {
        # curl reads http_proxy in lower case only; Node 24 and later only with its own switch.
        "HTTP_PROXY": proxy,
        "HTTPS_PROXY": proxy,
        "http_proxy": proxy,
        "https_proxy": proxy,
        # aiohttp looks for its WebSockets' proxy under the scheme's own name.
        "ws_proxy": proxy,
        "wss_proxy": proxy,
        "NO_PROXY": NOT_PROXIED,
        "no_proxy": NOT_PROXIED,
        "NODE_USE_ENV_PROXY": "1",
    }
    return variables | dict.fromkeys(CA_VARIABLES, ca_file) if ca_file else variables


def with_placeholders(variables: Mapping[str, str], placeholders: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the variables and, where they leave a name free, what stands for the group's keys."""
    hidden = OTHER_KEYS if "ANTHROPIC_AUTH_TOKEN" in variables else ()
    return {name: value for name, value in placeholders if name not in hidden} | dict(variables)


def build_model_environment(model: ModelRoute, proxy: str, key: str) -> dict[str, str]:
    """Return the variables for tools that call a model: over the proxy's named route, whose real key is added there.

    `key` is sent by them as theirs: some do not start without one. Where it is no token it means nothing.
    """
    address = f"{proxy}/m/{model.route}"
    if model.api == "anthropic":
        return {"ANTHROPIC_BASE_URL": address, "ANTHROPIC_AUTH_TOKEN": key, "ANTHROPIC_MODEL": model.model}
    return {"OPENAI_BASE_URL": f"{address}/v1", "OPENAI_API_KEY": key}
