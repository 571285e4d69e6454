"""What may go wrong between us and the container engine, each with what a person can do. Pure."""

from __future__ import annotations

from runtime.images.recipe import REPOSITORY as DERIVED


class EngineError(Exception):
    """What may go wrong when the engine is asked something; `mend` is what a person can do."""

    mend = ""


class EngineAway(EngineError):
    """No container engine answers."""

    mend = "./nightyard up"

    def __init__(self, tried: str, detail: str) -> None:
        super().__init__(tried, detail)
        self.tried = tried
        self.detail = detail

    def __str__(self) -> str:
        return f"no container engine answers on {self.tried} ({self.detail})"


class ImageMissing(EngineError):
    """The engine does not have the agent image, or one that is derived from it."""

    def __init__(self, image: str) -> None:
        super().__init__(image)
        self.image = image
        self.mend = "./nightyard image build" if image.startswith(DERIVED) else "./nightyard up"

    def __str__(self) -> str:
        return f"the container engine does not have the image {self.image}"


class EngineRefused(EngineError):
    """The engine answered, and said no."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(what, detail)
        self.what = what
        self.detail = detail
        if "apparmor_parser" in detail:  # docker.io only recommends it, and needs it where the kernel has AppArmor
            self.mend = "sudo apt-get install apparmor"

    def __str__(self) -> str:
        return f"the container engine would not {self.what}: {self.detail}"


class LimitsNotApplied(EngineError):
    """The engine took the limits and did not apply them: nothing may run on it."""

    mend = "run the engine where it may set limits: Docker as root, or Podman with delegated cgroup controllers"

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__(missing)
        self.missing = missing

    def __str__(self) -> str:
        return f"the container engine did not apply: {', '.join(self.missing)}"


class ContainerUnknown(EngineError):
    """The engine does not know a container of this name."""
