"""The create request and the spare's key."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from protocol.ids import DoorId, GroupId
from protocol.task import ModelRoute
from runtime.client_environment import CA_VARIABLES
from runtime.container_command import (
    AGENT_COMMAND,
    CA_FILE,
    ContainerKind,
    ContainerLimits,
    ContainerPlaces,
    ContainerUser,
    EngineTraits,
    FolderMount,
    build_compile_request,
    build_create_request,
    build_mount_sources,
    build_spare_key,
    name_parent_cgroup,
)

USER = ContainerUser(uid=10001, gid=10001)
TRAITS = EngineTraits(seccomp="{}")
PLACES = ContainerPlaces(home_id="abcd2345", group_folder="/home/ny/groups/main", bundle="/home/ny/agent/hash1")
KIND = ContainerKind(group_id=GroupId("main"), image="nightyard-agent:1")


def request_of(kind: ContainerKind = KIND, places: ContainerPlaces = PLACES, **changes: Any) -> dict[str, Any]:
    traits = changes.pop("traits", TRAITS)
    return build_create_request(
        kind, places, USER, traits, door_id=DoorId("door_x"), door_folder="/home/ny/run/c/x", key="k", **changes
    )


def environment_of(request: dict[str, Any]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in request["Env"])


def test_request_is_hardened_to_the_letter() -> None:
    """No network, read-only root, no capabilities, no new privileges, our filter, every limit, init, no log, kept."""
    request = request_of()
    config = request["HostConfig"]
    limits = ContainerLimits()
    assert config["NetworkMode"] == "none"
    assert request["NetworkDisabled"] is True
    assert config["ReadonlyRootfs"] is True
    assert config["CapDrop"] == ["ALL"]
    assert config["SecurityOpt"] == ["no-new-privileges", "seccomp={}"]
    assert config["Memory"] == config["MemorySwap"] == limits.memory_bytes
    assert config["PidsLimit"] == limits.pids
    assert config["NanoCpus"] == 1_000_000_000
    assert {limit["Name"]: limit["Hard"] for limit in config["Ulimits"]} == {
        "nofile": limits.open_files,
        "fsize": limits.file_bytes,
        "core": 0,
    }
    assert f"size={limits.tmp_bytes}" in config["Tmpfs"]["/tmp"]
    assert (config["Init"], config["AutoRemove"], config["LogConfig"]["Type"]) == (True, False, "none")
    assert request["User"] == "10001:10001"
    assert "CgroupParent" not in config
    assert json.dumps(request)


def test_agent_is_started_by_its_whole_path() -> None:
    """A `python3` planted in the group's home by an earlier task is never what runs as the agent."""
    request = request_of()
    assert AGENT_COMMAND[0] == "/usr/bin/python3"
    assert request["Cmd"][0] == AGENT_COMMAND[0]
    assert environment_of(request)["PATH"].split(":")[-1] == "/home/agent/.local/bin"


def test_every_mount_is_a_bind_that_refuses_a_missing_source() -> None:
    """What is written is the group's own and the door's out folder; everything else is shown for reading."""
    kind = replace(
        KIND,
        skills=(FolderMount(name="pdf", path="/fork/skills/pdf"),),
    )
    mounts = request_of(kind)["HostConfig"]["Mounts"]
    assert {mount["Type"] for mount in mounts} == {"bind"}
    assert {mount["Target"] for mount in mounts if not mount["ReadOnly"]} == {
        "/workspace",
        "/memory",
        "/home/agent",
        "/run/yard/out",
    }
    assert {mount["Target"] for mount in mounts if mount["ReadOnly"]} == {
        "/inbox",
        "/opt/agent",
        "/skills/pdf",
        "/run/yard",
    }
    targets = [mount["Target"] for mount in mounts]
    assert targets.index("/run/yard") < targets.index("/run/yard/out")
    assert set(build_mount_sources(kind, PLACES)) == {mount["Source"] for mount in mounts[:-2]}


def test_authority_is_named_to_every_tool_only_when_it_exists() -> None:
    """With an authority all CA variables name it and its bundle covers the system's; without one neither is there."""
    assert "SSL_CERT_FILE" not in environment_of(request_of())
    request = request_of(places=replace(PLACES, ca_file="/ca/ca.pem", ca_bundle="/ca/bundle.pem"))
    environment = environment_of(request)
    assert len(CA_VARIABLES) > 10
    assert {environment[name] for name in CA_VARIABLES} == {CA_FILE}
    targets = {mount["Target"]: mount["Source"] for mount in request["HostConfig"]["Mounts"]}
    assert targets["/etc/ssl/certs/ca-certificates.crt"] == "/ca/bundle.pem"


def test_proxy_is_named_in_both_cases() -> None:
    """curl reads only the lower-case variable, others only the upper-case one."""
    environment = environment_of(request_of())
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "wss_proxy"):
        assert environment[name] == "http://127.0.0.1:3128"
    assert environment["NO_PROXY"] == environment["no_proxy"] == "127.0.0.1,localhost"
    assert environment["HOME"] == "/home/agent"


def test_tools_that_call_a_model_find_the_groups_route() -> None:
    """A group's model is named to its container's tools as the proxy's route, with a key that is none."""
    model = ModelRoute(route="anthropic", api="anthropic", model="clever-1")
    environment = environment_of(request_of(replace(KIND, model=model)))
    assert environment["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:3128/m/anthropic"
    assert (environment["ANTHROPIC_MODEL"], environment["ANTHROPIC_AUTH_TOKEN"]) == ("clever-1", "added-by-the-proxy")
    assert "OPENAI_BASE_URL" not in environment
    environment = environment_of(request_of(replace(KIND, model=replace(model, api="openai"))))
    assert environment["OPENAI_BASE_URL"] == "http://127.0.0.1:3128/m/anthropic/v1"
    assert "ANTHROPIC_BASE_URL" not in environment
    assert "ANTHROPIC_BASE_URL" not in environment_of(request_of())


def test_traits_of_the_engine_are_followed() -> None:
    """Rootless Podman gets its user namespace and a file for the filter, and a parent group where one is set."""
    traits = EngineTraits(seccomp="/h/run/seccomp.json", user_namespace="keep-id", parent_cgroup="nightyard.slice")
    config = request_of(traits=traits)["HostConfig"]
    assert config["SecurityOpt"][1] == "seccomp=/h/run/seccomp.json"
    assert (config["UsernsMode"], config["CgroupParent"]) == ("keep-id", "nightyard.slice")


@pytest.mark.parametrize(
    ("driver", "parent"),
    [
        ("cgroupfs", "/nightyard-abcd2345"),
        ("systemd", "nightyard-abcd2345.slice"),
        ("none", ""),
        ("", ""),
    ],
)
def test_the_home_has_a_cgroup_as_the_driver_names_it(driver: str, parent: str) -> None:
    """A path for one driver, a slice for the other; where there are no cgroups none is asked for."""
    assert name_parent_cgroup("abcd2345", driver) == parent


CHANGES: tuple[tuple[ContainerKind, ContainerPlaces, EngineTraits, tuple[str, ...]], ...] = (
    (replace(KIND, image="nightyard-agent:2"), PLACES, TRAITS, ("1:1",)),
    (replace(KIND, group_id=GroupId("other")), PLACES, TRAITS, ("1:1",)),
    (replace(KIND, limits=ContainerLimits(pids=5)), PLACES, TRAITS, ("1:1",)),
    (replace(KIND, skills=(FolderMount(name="a", path="/a"),)), PLACES, TRAITS, ("1:1",)),
    (KIND, PLACES, replace(TRAITS, parent_cgroup="/nightyard-abcd2345"), ("1:1",)),
    (KIND, replace(PLACES, bundle="/home/ny/agent/hash2"), TRAITS, ("1:1",)),
    (KIND, replace(PLACES, ca_file="/ca.pem"), TRAITS, ("1:1",)),
    (KIND, PLACES, EngineTraits(seccomp='{"other": 1}'), ("1:1",)),
    (KIND, PLACES, TRAITS, ("1:2",)),
)


@pytest.mark.parametrize(("kind", "places", "traits", "stamps"), CHANGES)
def test_any_change_makes_another_spare(
    kind: ContainerKind, places: ContainerPlaces, traits: EngineTraits, stamps: tuple[str, ...]
) -> None:
    """The key is the same for the same things and another for each thing that a container is made from."""
    key = build_spare_key(KIND, PLACES, USER, TRAITS, ("1:1",))
    assert key == build_spare_key(replace(KIND), replace(PLACES), USER, replace(TRAITS), ("1:1",))
    assert key != build_spare_key(kind, places, USER, traits, stamps)


def test_compiling_container_sees_only_the_code_and_is_as_hardened() -> None:
    """The throw-away container that compiles the code has one mount and all the hardening."""
    request: Any = build_compile_request("image:1", "abcd2345", "/home/ny/agent/.new-1", USER, TRAITS)
    (mount,) = request["HostConfig"]["Mounts"]
    assert (mount["Target"], mount["ReadOnly"]) == ("/opt/agent", False)
    assert request["HostConfig"]["NetworkMode"] == "none"
    assert request["HostConfig"]["CapDrop"] == ["ALL"]
    assert "unchecked-hash" in request["Cmd"]


def test_compiling_container_stands_outside_the_homes_cgroup() -> None:
    """An engine that refuses the home's cgroup still compiles: that is found out with the first agent."""
    traits = replace(TRAITS, parent_cgroup="/nightyard-abcd2345")
    request: Any = build_compile_request("image:1", "abcd2345", "/home/ny/agent/.new-1", USER, traits)
    assert "CgroupParent" not in request["HostConfig"]


def test_placeholders_stand_in_the_environment_and_take_nothing_from_it() -> None:
    """A tool finds its key's place taken; the container's own variables keep their word, and a container with other
    placeholders is another one."""
    kind = replace(KIND, placeholders=(("GITHUB_TOKEN", "ghp_x"), ("PATH", "/evil"), ("ANTHROPIC_API_KEY", "sk-ant")))
    environment = environment_of(request_of(kind))
    assert environment["GITHUB_TOKEN"] == "ghp_x"
    assert environment["ANTHROPIC_API_KEY"] == "sk-ant"
    assert environment["PATH"] == environment_of(request_of())["PATH"]
    assert build_spare_key(kind, PLACES, USER, TRAITS, ()) != build_spare_key(KIND, PLACES, USER, TRAITS, ())
    routed = replace(kind, model=ModelRoute(route="main", api="anthropic", model="m"))
    assert "ANTHROPIC_API_KEY" not in environment_of(request_of(routed))
