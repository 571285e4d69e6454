"""What keeps the vault, or one of its secrets, from being used; each error's text tells a person what to do. Pure."""

from __future__ import annotations

from pathlib import Path


class VaultError(Exception):
    """What keeps the vault from being used."""


class LooseKeyFile(VaultError):
    """A file that holds a key can be read by others."""

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(path, mode)
        self.path = path
        self.mode = mode

    def __str__(self) -> str:
        return f"the key file {self.path} has mode {self.mode:04o}, others could read it; run: chmod 600 {self.path}"


class KeyMissing(VaultError):
    """The vault holds secrets, but the key that opens them is not where it was, or is another one."""

    def __init__(self, where: str, database: Path) -> None:
        super().__init__(where, database)
        self.where = where
        self.database = database

    def __str__(self) -> str:
        return (
            f"the vault's key ({self.where}) is missing, broken or not the one that fits, so no secret can be opened; "
            f"put it back from a backup, or move {self.database} away and add the secrets again"
        )


class KeyPlaceFailed(VaultError):
    """The place that keeps the vault's key cannot be used."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return f"the vault's key cannot be kept in {self.where}: {self.reason}"


class VaultTooNew(VaultError):
    """The vault's file was written by a newer Nightyard."""

    def __init__(self, database: Path) -> None:
        super().__init__(database)
        self.database = database

    def __str__(self) -> str:
        return f"{self.database} was written by a newer Nightyard; go on with that, or restore an older backup"


class NotWritten(VaultError):
    """The disk did not take a change; the vault is as it was."""

    def __init__(self, database: Path, reason: str) -> None:
        super().__init__(database, reason)
        self.database = database
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.database} could not be written, nothing was changed: {self.reason}; is the disk full?"


class SealBroken(VaultError):
    """A secret's row was changed from outside, or belongs to another key."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return (
            f"the secret {self.name} cannot be opened: its row was changed or sealed with another key; "
            f"run: nightyard secret add {self.name} --replace"
        )


class SecretExists(VaultError):
    """A secret of that name is there already."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"a secret named {self.name} is already in the vault"


class SecretUnknown(VaultError):
    """No secret of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"no secret named {self.name} is in the vault"


class ValueUnknown(VaultError):
    """The secret has no value of that label."""

    def __init__(self, name: str, label: str) -> None:
        super().__init__(name, label)
        self.name = name
        self.label = label

    def __str__(self) -> str:
        return f"the secret {self.name} has no value {self.label}"


class ValueMoved(VaultError):
    """The value was changed by another in the meantime: read it again."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the secret {self.name} was changed in the meantime"


class BadSecretName(VaultError):
    """A name that settings could not name."""

    def __str__(self) -> str:
        return "a secret's name is 1-32 of a-z, 0-9 and inner hyphens"
