"""Make a derived image: fetch what it is made of, install it without a network, and keep the outcome as one layer.

Installing is running `install.sh` in a container of the agent image whose file system then becomes the image: what was
fetched lies in a volume beside it and leaves nothing behind. What is fetched how is `image_fetch.py`'s business.
"""

from __future__ import annotations

import json
import secrets
import tarfile
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import DockerException
from docker.types import LogConfig, Mount

from cli.base_image import SPACE, machine_apt_options
from cli.image_cause import BUILD, cause_of, mend_of
from cli.image_fetch import HOST_ARCHITECTURE, Inside, fetch
from cli.up_progress import Progress, SetupFailed
from runtime.images.inputs import load_inputs
from runtime.images.recipe import ImageRecipe

LABEL_RECIPE = "nightyard.recipe"
"""What is in it, for people."""
LABEL_BUILDING = "nightyard.building"
FETCHED = "/run/fetched"
KEPT_LINES = 30
STEP_TIMEOUT_S = 1800
"""What apt fetches on a slow line, and what dpkg unpacks on a slow disk, is done by then."""
LEFTOVER_S = 4 * 3600
MAX_ADDED_MB = 6_000
"""What an image may have beside the agent image."""
CPU_SHARES = 128
"""An eighth of what agents get when both want the processor."""
LOOK_INSIDE = "import json,os,sys;print(json.dumps([sys.version_info[:2],os.confstr('CS_GNU_LIBC_VERSION')]))"
FETCH_APT = """set -eu
mkdir -p apt/partial
apt-get -q "$@" update
apt-get -q "$@" install -y --no-install-recommends --download-only $(cat apt.txt)
rm -rf apt/partial apt/lock
rmdir apt 2>/dev/null || true
"""
"""All may be installed already: then there is no folder, and nothing to install."""


def build_derived(client: docker.DockerClient, root: Path, recipe: ImageRecipe, progress: Progress) -> str:
    """Build the recipe's image anew, whether it is there or not; return its reference. Raises SetupFailed."""
    inputs = load_inputs(root)
    reference = recipe.reference(inputs)
    _clear_leftovers(client)
    yard = _BuildYard(client, recipe, reference, progress)
    try:
        with tempfile.TemporaryDirectory(prefix="nightyard-image-", dir=SPACE) as space:
            folder = Path(space) / "fetched"
            folder.mkdir()
            (folder / "install.sh").write_bytes(inputs.script)
            fetch(recipe, inputs.pins, yard.look_inside(), folder, progress)
            if recipe.apt:
                (folder / "apt.txt").write_text("\n".join(recipe.apt) + "\n")
            progress("handing it to the engine")
            yard.bring(folder, Path(space))
        if recipe.apt:
            progress(f"fetching apt packages: {' '.join(recipe.apt)}")
            yard.fetch_apt()
        yard.install()
    except (DockerException, requests.RequestException) as error:
        why = f"the engine: {getattr(error, 'explanation', None) or error}"
        raise SetupFailed(f"the image {reference} could not be built", why, BUILD) from error
    finally:
        yard.clear()
    return reference


def _clear_leftovers(client: docker.DockerClient) -> None:
    """Remove what builds left that somebody killed: none takes so long."""
    for container in client.api.containers(all=True, filters={"label": LABEL_BUILDING}):
        if time.time() - container["Created"] > LEFTOVER_S:
            client.api.remove_container(container["Id"], force=True, v=True)
    for volume in client.volumes.list(filters={"label": LABEL_BUILDING}):
        made_at = datetime.fromisoformat(str(volume.attrs["CreatedAt"]).replace("Z", "+00:00"))
        if (datetime.now(UTC) - made_at).total_seconds() > LEFTOVER_S:
            volume.remove(force=True)


class _BuildYard:
    """The engine's side of one build: a volume with what was fetched, and containers that see it."""

    def __init__(self, client: docker.DockerClient, recipe: ImageRecipe, reference: str, progress: Progress) -> None:
        self._client = client
        self._recipe = recipe
        self._reference = reference
        self._progress = progress
        self._name = f"nightyard-build-{secrets.token_hex(4)}"
        self._volume = client.volumes.create(self._name, labels={LABEL_BUILDING: reference})
        self._containers: list[Any] = []

    def look_inside(self) -> Inside:
        """Return what runs in the agent image."""
        said = self._run("the agent image does not start", ["/usr/bin/python3", "-I", "-c", LOOK_INSIDE], "none")
        python, glibc = json.loads(said.splitlines()[-1])
        architecture = HOST_ARCHITECTURE.get(str(self._client.version()["Arch"]))
        if architecture is None:
            why = f"nothing is pinned for {self._client.version()['Arch']}"
            raise SetupFailed(f"the image {self._reference} could not be built", why, "use an engine on amd64 or arm64")
        major, minor = str(glibc).split()[1].split(".")[:2]
        return Inside(architecture=architecture, python=(python[0], python[1]), glibc=(int(major), int(minor)))

    def bring(self, folder: Path, space: Path) -> None:
        """Put a folder's files into the volume."""
        packed = space / "fetched.tar"
        with tarfile.open(packed, "w") as archive:
            archive.add(folder, ".", filter=_as_root)
        carrier = self._create(["true"], "none")
        with packed.open("rb") as stream:
            carrier.put_archive(FETCHED, stream)

    def fetch_apt(self) -> None:
        """Have apt bring the packages and what they need that the agent image lacks."""
        options = [f"Dir::Cache::archives={FETCHED}/apt", "APT::Sandbox::User=root"]
        # As apt-config shows them, `Name "value"`; the command line wants `Name=value`.
        options += [option.replace(' "', "=", 1).rstrip('"') for option in machine_apt_options()]
        words = [word for option in options for word in ("-o", option)]
        self._run("the apt packages could not be fetched", ["sh", "-c", FETCH_APT, "apt", *words], "default")

    def install(self) -> None:
        """Install without a network, and make what then is there the image."""
        self._run(f"the image {self._reference} could not be built", ["sh", "install.sh"], "none")
        container = self._containers[-1]
        added_mb = self._added_mb(container)
        if added_mb > MAX_ADDED_MB:
            why = f"it would have {added_mb} MB beside the agent image, the most is {MAX_ADDED_MB}"
            raise SetupFailed(f"the image {self._reference} was not kept", why, "take packages out of group.yaml")
        self._progress(f"keeping the image ({added_mb} MB)")
        base = self._client.images.get(self._recipe.base).attrs["Config"]
        labels = {**(base.get("Labels") or {}), LABEL_RECIPE: self._recipe.summary}
        changes = [f"CMD {json.dumps(base['Cmd'])}", "USER 0", "WORKDIR /workspace"]
        changes += [f"LABEL {json.dumps(name)}={json.dumps(value)}" for name, value in labels.items()]
        if self._recipe.npm:
            changes.append("ENV NODE_PATH=/opt/npm/node_modules")
        repository, _, tag = self._reference.partition(":")
        container.commit(repository=repository, tag=tag, pause=False, changes=changes)

    def clear(self) -> None:
        """Remove what the build has used."""
        for made in (*self._containers, self._volume):
            try:
                made.remove(force=True)
            except (DockerException, requests.RequestException):
                self._progress(f"{made.name} stays behind")

    def _added_mb(self, container: Any) -> int:
        found = self._client.api.containers(all=True, size=True, filters={"id": container.id})
        return int(found[0].get("SizeRw") or 0) >> 20

    def _create(self, command: Sequence[str], network: str) -> Any:
        container = self._client.containers.create(
            self._recipe.base,
            list(command),
            name=f"{self._name}-{len(self._containers)}",
            user="0",
            working_dir=FETCHED,
            labels={LABEL_BUILDING: self._reference},
            mounts=[Mount(FETCHED, self._name, type="volume")],
            network_mode=network,
            security_opt=["no-new-privileges"],
            cpu_shares=CPU_SHARES,
            oom_score_adj=1000,
            log_config=LogConfig(type=LogConfig.types.JSON),  # the engine's own default may keep nothing
            init=True,
        )
        self._containers.append(container)
        return container

    def _run(self, what: str, command: Sequence[str], network: str) -> str:
        """Run a command to its end; return its last words, or raise SetupFailed with them."""
        container = self._create(command, network)
        said: deque[str] = deque(maxlen=KEPT_LINES)
        container.start()
        stream = container.logs(stream=True, follow=True)
        rest = b""
        try:
            for part in stream:
                *whole, rest = (rest + part).split(b"\n")
                for line in (raw.decode("utf-8", "replace").strip() for raw in whole):
                    if line:
                        said.append(line[:300])
                        self._progress(line[:100])
        finally:
            stream.close()
        exit_code = int(container.wait(timeout=STEP_TIMEOUT_S)["StatusCode"])
        if exit_code:
            cause = cause_of("\n".join(said)) or f"exit code {exit_code}"
            raise SetupFailed(what, cause, mend_of(cause))
        return "\n".join(said)


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of whoever fetched it is left in the image."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
