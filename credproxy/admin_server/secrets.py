"""Verbs about secrets: what the command line may do with the vault. Only a channel's token is ever told."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

from credproxy.admin_client.answers import SecretKind, StoredSecret
from credproxy.admin_client.secrets import AddedSecret, GivenSource, PartState, SecretState, ValueState
from credproxy.admin_server.verb import AdminRefused, Verb, read_maybe_text, read_text
from credproxy.audit.entry import AuditEntry
from credproxy.injection.presets import load_preset
from credproxy.issuers.credentials import TOKEN_TYPES
from credproxy.pipeline.proxy import CredentialProxy
from credproxy.policy.rules import users_of_secret
from credproxy.vault.content import Given
from credproxy.vault.errors import (
    BadSecretName,
    KeyPlaceFailed,
    LooseKeyFile,
    NotWritten,
    SealBroken,
    SecretExists,
    SecretUnknown,
    ValueUnknown,
    VaultError,
)
from credproxy.vault.rows import SealedSecret, SealedValue, SecretValue, Source
from credproxy.vault.secret import BadValue
from credproxy.vault.types import TYPES, VALUE, check_parts
from protocol.codec import ShapeError, from_json, to_json

T = TypeVar("T")
MAX_PURPOSE_CHARS = 100
MAX_OVERLAP_S = 90 * 24 * 3600.0
LISTED = "nightyard secret list"

_CODES: Mapping[type[VaultError], str] = {
    BadSecretName: "bad_name",
    KeyPlaceFailed: "key_place_failed",
    LooseKeyFile: "key_file_loose",
    NotWritten: "vault_not_written",
    SealBroken: "secret_broken",
    SecretExists: "secret_exists",
    SecretUnknown: "secret_unknown",
    ValueUnknown: "value_unknown",
}


class SecretsVerbs:
    def __init__(self, proxy: CredentialProxy) -> None:
        self._proxy = proxy
        self._vault_lock = asyncio.Lock()

    def table(self) -> dict[str, Verb]:
        return {
            "secret_add": self._add,
            "secret_list": self._list,
            "secret_show": self._show,
            "secret_rotate": self._rotate,
            "secret_reserve": self._reserve,
            "secret_promote": self._promote,
            "secret_remove": self._remove,
            "secret_fetch": self._fetch,
            "secret_test": self._test,
            "vault_state": self._vault_state,
            "vault_rekey": self._vault_rekey,
        }

    async def _add(self, arguments: Mapping[str, Any]) -> object:
        name, given, kind = read_text(arguments, "name"), _read_given(arguments), arguments.get("kind", "key")
        if kind not in get_args(SecretKind):
            raise ShapeError("kind", "expected key or channel")
        type_name = read_maybe_text(arguments, "type") or "key"
        preset = _find_preset(read_maybe_text(arguments, "preset"), name, type_name if kind == "key" else "")
        replace = arguments.get("replace") is True
        vault = self._proxy.vault
        _check_tokens(name, type_name, given, preset)
        await self._change(
            name, lambda: vault.add(name, given, kind, type_name=type_name, preset=preset, replace=replace)
        )
        await self._note(name, "replace" if replace else "add", "" if type_name == "key" else type_name, given)
        return to_json(AddedSecret(type=type_name, preset=preset, used_by=self._users(name)))

    async def _list(self, _arguments: Mapping[str, Any]) -> object:
        return {"secrets": [to_json(self._stored(row)) for row in self._proxy.vault.secrets()]}

    async def _show(self, arguments: Mapping[str, Any]) -> object:
        row = self._find(read_text(arguments, "name"))
        state = SecretState(
            name=row.name,
            kind=row.kind,
            type=row.type,
            preset=row.preset,
            created_at=row.created_at,
            changed_at=row.changed_at,
            used_by=self._users(row.name),
            values=tuple(_value_state(sealed, opened) for sealed, opened in self._proxy.vault.look_into(row.name)),
        )
        return to_json(state)

    async def _rotate(self, arguments: Mapping[str, Any]) -> object:
        name, given, overlap_s = read_text(arguments, "name"), _read_given(arguments), arguments.get("overlap_s", 0)
        if type(overlap_s) not in (int, float) or not 0 <= overlap_s <= MAX_OVERLAP_S:
            raise ShapeError("overlap_s", f"expected 0 to {MAX_OVERLAP_S:.0f} seconds")
        self._check_alike(name, given)
        version = await self._change(name, lambda: self._proxy.vault.rotate(name, given, overlap_s=float(overlap_s)))
        await self._note(name, "rotate", f"version {version}, overlap {overlap_s:g} s", given)
        return {"version": version}

    async def _reserve(self, arguments: Mapping[str, Any]) -> object:
        name, given = read_text(arguments, "name"), _read_given(arguments)
        self._check_alike(name, given)
        label = await self._change(name, lambda: self._proxy.vault.add_reserve(name, given))
        await self._note(name, "add", label, given)
        return {"label": label}

    async def _promote(self, arguments: Mapping[str, Any]) -> object:
        name, label = read_text(arguments, "name"), read_text(arguments, "label")
        version = await self._change(name, lambda: self._proxy.vault.promote(name, label))
        await self._note(name, "promote", f"{label}, version {version}")
        return {"version": version}

    async def _remove(self, arguments: Mapping[str, Any]) -> object:
        name, label = read_text(arguments, "name"), read_maybe_text(arguments, "label")
        if label is None:
            await self._change(name, lambda: self._proxy.vault.remove(name))
            self._proxy.secret_changed(name, is_gone=True)
        else:
            await self._change(name, lambda: self._proxy.vault.remove_value(name, label))
        await self._note(name, "remove", label or "")
        return {}

    async def _fetch(self, arguments: Mapping[str, Any]) -> object:
        """The one way a value leaves: a platform's bot token, which its SDK must have in the host."""
        name, purpose = read_text(arguments, "name"), read_text(arguments, "purpose")
        row = self._proxy.vault.find(name)
        if row is None:
            raise AdminRefused(
                "secret_unknown", str(SecretUnknown(name)), f"nightyard secret add {name} --kind channel"
            )
        if row.kind != "channel":
            message = f"{name} is a key: keys are put into requests by the proxy and told to nobody"
            raise AdminRefused("secret_is_key", message)
        await self._note(name, "fetch", purpose[:MAX_PURPOSE_CHARS])
        try:
            secret = self._proxy.vault.open(name)
        except SealBroken as broken:
            raise _refused(broken) from None
        if secret is None:
            raise AdminRefused("secret_unknown", str(SecretUnknown(name)))
        return {"value": secret.reveal()}

    async def _test(self, arguments: Mapping[str, Any]) -> object:
        from credproxy.admin_server.trial import Trials  # rarely asked, so that an idle proxy does without it

        return await Trials(self._proxy).run(arguments)

    async def _vault_state(self, _arguments: Mapping[str, Any]) -> object:
        return {**_facts(self._proxy.vault.state()), "secrets": len(self._proxy.vault.secrets())}

    async def _vault_rekey(self, arguments: Mapping[str, Any]) -> object:
        place = read_maybe_text(arguments, "place") or ""
        state = await self._change("", lambda: self._proxy.vault.rekey(place))
        await self._note("", "rekey", f"key {state.key_id} in {state.place}")
        return {**_facts(state), "secrets": len(self._proxy.vault.secrets())}

    async def _change(self, name: str, change: Callable[[], T]) -> T:
        """Have the vault changed in its thread, and nothing used any more as it was; a refusal is told as one."""
        try:
            async with self._vault_lock:
                return await asyncio.to_thread(change)
        except BadValue as bad:
            raise AdminRefused("bad_value", f"the secret {name} was not stored: {bad.reason}") from None
        except VaultError as error:
            raise _refused(error) from None
        finally:
            self._proxy.secret_changed(name)

    async def _note(self, name: str, verb: str, more: str = "", given: Given = "") -> None:
        source = f"from {given.kind}" if isinstance(given, Source) else ""
        detail = ", ".join(filter(None, (more, source)))
        entry = AuditEntry(kind="secret", secret=name, detail=f"{verb}: {detail}" if detail else verb)
        await self._proxy.audit.note(entry)

    def _find(self, name: str) -> SealedSecret:
        row = self._proxy.vault.find(name)
        if row is None:
            raise _refused(SecretUnknown(name))
        return row

    def _check_alike(self, name: str, given: Given) -> None:
        row = self._find(name)
        _check_tokens(name, row.type, given, row.preset)

    def _users(self, name: str) -> tuple[str, ...]:
        return users_of_secret(name, self._proxy.policy)

    def _stored(self, row: SealedSecret) -> StoredSecret:
        slots = [value.slot for value in self._proxy.vault.lasting(row)]
        return StoredSecret(
            name=row.name,
            kind=row.kind,
            created_at=row.created_at,
            changed_at=row.changed_at,
            used_by=self._users(row.name),
            type=row.type,
            source=row.source,
            preset=row.preset,
            version=next((value.version for value in row.values if value.slot == "current"), 0),
            reserves=slots.count("reserve"),
            has_previous="previous" in slots,
        )


def _check_tokens(name: str, type_name: str, given: Given, preset: str) -> None:
    """Refuse what can never bring a token, while a person is there to mend it. What is read elsewhere is not known."""
    if type_name not in TOKEN_TYPES or not isinstance(given, Mapping):
        return
    from credproxy.issuers.recipe import BadRecipe
    from credproxy.issuers.recipe_check import check_recipe

    try:
        check_parts(type_name, given)
        check_recipe(type_name, given, preset)
    except (BadValue, BadRecipe) as bad:
        raise AdminRefused("bad_value", f"the secret {name} was not stored: {bad.reason}") from None


def _refused(error: VaultError) -> AdminRefused:
    mend = ""
    if isinstance(error, SecretExists | SealBroken):
        mend = f"nightyard secret add {error.name} --replace"
    elif isinstance(error, SecretUnknown):
        mend = LISTED
    elif isinstance(error, ValueUnknown):
        mend = f"nightyard secret show {error.name}"
    return AdminRefused(_CODES.get(type(error), "vault_failed"), str(error), mend)


def _read_given(arguments: Mapping[str, Any]) -> Given:
    """`value`: the one text; `parts`: texts by name; `source`: where to read it."""
    if arguments.get("source") is not None:
        given = from_json(GivenSource, arguments["source"], "source")
        return Source(
            kind=given.kind, place=given.place, command=given.command, cache_s=given.cache_s, field=given.field
        )
    if arguments.get("parts") is None:
        return read_text(arguments, "value")
    parts = arguments["parts"]
    if not isinstance(parts, dict) or not all(type(text) is str for text in (*parts, *parts.values())):
        raise ShapeError("parts", "expected an object of texts")
    return {part: text for part, text in parts.items() if text}


def _find_preset(asked: str | None, name: str, type_name: str) -> str:
    """Return the provider that a secret is for: the one that is named, or the one whose name it has."""
    preset = load_preset(asked or name)
    if preset is None and asked is not None:
        raise AdminRefused("preset_unknown", f"no provider named {asked[:40]} is known", "nightyard secret presets")
    if preset is None or (asked is None and preset.secret_type != type_name):
        return ""
    if preset.secret_type != type_name:
        message = f"{preset.title} takes secrets of type {preset.secret_type}, not {type_name or 'channel'}"
        raise AdminRefused("preset_unfit", message)
    return preset.name


def _value_state(sealed: SealedValue, opened: SecretValue | None) -> ValueState:
    if opened is None:
        return ValueState(
            label=sealed.label, version=sealed.version, created_at=sealed.created_at, ends_at=sealed.ends_at,
            is_broken=True,
        )  # fmt: skip
    parts = [
        PartState(
            name=part.name,
            what=part.what,
            is_there=part.name in opened.parts,
            shown=opened.parts[part.name].reveal() if part.is_public and part.name in opened.parts else "",
        )
        for part in TYPES[opened.type].parts
        if part.name != VALUE
    ]
    return ValueState(
        label=sealed.label,
        version=sealed.version,
        created_at=sealed.created_at,
        ends_at=sealed.ends_at,
        token_ends_at=opened.token_ends_at,
        parts=() if opened.source is not None else tuple(parts),
        source=_spell(opened.source) if opened.source is not None else "",
    )


def _spell(source: Source) -> str:
    """Say where a value is read: that is no secret, and whoever asks is the owner."""
    where = shlex.join(source.command) if source.kind == "command" else source.place
    field = f", member {source.field}" if source.field else ""
    return f"{source.kind} {where}{field}, kept {source.cache_s:g} s"


def _facts(state: object) -> dict[str, Any]:
    facts = to_json(state)
    return facts if isinstance(facts, dict) else {}
