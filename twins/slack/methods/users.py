"""People, their presence and profiles, and groups of them: `users.*`, `usergroups.*`, `dnd.*`."""

from __future__ import annotations

from twins.slack.methods.method import Call, Json, Method
from twins.slack.refusal import Refusal
from twins.slack.world import TEAM_ID


def info(call: Call) -> Json:
    return {"user": call.world.person(call.arguments.needed("user", "user_not_found"))}


def list_users(call: Call) -> Json:
    people = list(call.world.people.values())
    return {**call.page("members", people, default=len(people)), "cache_ts": int(call.world.clock.now())}


def lookup_by_email(call: Call) -> Json:
    email = call.arguments.needed("email", "users_not_found").lower()
    for person in call.world.people.values():
        if person["profile"].get("email") == email:
            return {"user": person}
    raise Refusal("users_not_found")


def set_presence(call: Call) -> Json:
    if call.arguments.text("presence") not in ("auto", "away"):
        raise Refusal("invalid_presence")
    call.world.presence[call.user_id] = call.arguments.text("presence")
    return {}


def get_presence(call: Call) -> Json:
    user_id = call.arguments.text("user", call.user_id)
    call.world.person(user_id)
    return {"presence": "away" if call.world.presence.get(user_id) == "away" else "active"}


def profile_get(call: Call) -> Json:
    return {"profile": _shown_profile(call.world.person(call.arguments.text("user", call.user_id)))}


def profile_set(call: Call) -> Json:
    profile = call.arguments.nested("profile", "invalid_profile") or {}
    if name := call.arguments.text("name"):
        profile = {name: call.arguments.text("value")}
    if not isinstance(profile, dict) or not profile:
        raise Refusal("invalid_profile")
    person = call.world.people[call.user_id]
    person["profile"] |= profile
    call.world.publish({"type": "user_change", "user": person, "event_ts": call.world.new_ts()})
    return {"profile": _shown_profile(person)}


def set_photo(call: Call) -> Json:
    _, image = call.arguments.files.get("image", ("", b""))
    if not image:
        raise Refusal("bad_image")
    profile = call.world.people[call.user_id]["profile"]
    profile |= {"is_custom_image": True, "avatar_hash": f"{len(image):012x}"}
    return {"profile": profile}


def usergroups_create(call: Call) -> Json:
    name = call.arguments.needed("name", "missing_subteam_name")
    if any(group["name"] == name for group in call.world.usergroups.values()):
        raise Refusal("name_already_exists")
    group = {"id": call.world.new_id("S"), "team_id": TEAM_ID, "name": name, "is_usergroup": True, "date_delete": 0}
    group |= {"handle": call.arguments.text("handle", name), "description": call.arguments.text("description")}
    group |= {"created_by": call.user_id, "users": []}
    call.world.usergroups[str(group["id"])] = group
    return {"usergroup": group}


def usergroups_list(call: Call) -> Json:
    with_disabled = call.arguments.truth("include_disabled")
    groups = call.world.usergroups.values()
    return {"usergroups": [group for group in groups if with_disabled or not group["date_delete"]]}


def usergroups_update(call: Call) -> Json:
    group = _usergroup(call)
    given = {name: call.arguments.text(name) for name in ("name", "handle", "description")}
    group |= {name: value for name, value in given.items() if value}
    return {"usergroup": group}


def usergroups_enable(call: Call) -> Json:
    group = _usergroup(call)
    group["date_delete"] = 0
    return {"usergroup": group}


def usergroups_disable(call: Call) -> Json:
    group = _usergroup(call)
    group["date_delete"] = int(call.world.clock.now())
    return {"usergroup": group}


def usergroups_users_list(call: Call) -> Json:
    return {"users": _usergroup(call)["users"]}


def usergroups_users_update(call: Call) -> Json:
    group = _usergroup(call)
    users = call.arguments.names("users")
    if not users or any(user_id not in call.world.people for user_id in users):
        raise Refusal("invalid_users")
    group["users"] = users
    return {"usergroup": group}


def dnd_info(call: Call) -> Json:
    call.world.person(call.arguments.text("user", call.user_id))
    return {"dnd_enabled": False, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1}


def _shown_profile(person: Json) -> Json:
    return {key: value for key, value in person["profile"].items() if key != "team"}


def _usergroup(call: Call) -> Json:
    found = call.world.usergroups.get(call.arguments.text("usergroup"))
    if found is None:
        raise Refusal("no_such_subteam")
    return found


READS, WRITES = ("usergroups:read",), ("usergroups:write",)
METHODS = {
    "users.info": Method(function=info, tier=4, scopes=("users:read",)),
    "users.list": Method(function=list_users, tier=2, scopes=("users:read",)),
    "users.lookupByEmail": Method(function=lookup_by_email, scopes=("users:read.email",)),
    "users.setPresence": Method(function=set_presence, tier=2, scopes=("users:write",)),
    "users.getPresence": Method(function=get_presence, scopes=("users:read",)),
    "users.profile.get": Method(function=profile_get, tier=4, scopes=("users.profile:read",)),
    "users.profile.set": Method(function=profile_set, scopes=("users.profile:write",), kinds=("user",)),
    "users.setPhoto": Method(function=set_photo, tier=2, scopes=("users.profile:write",), kinds=("user",)),
    "usergroups.create": Method(function=usergroups_create, tier=2, scopes=WRITES),
    "usergroups.list": Method(function=usergroups_list, tier=2, scopes=READS),
    "usergroups.update": Method(function=usergroups_update, tier=2, scopes=WRITES),
    "usergroups.enable": Method(function=usergroups_enable, tier=2, scopes=WRITES),
    "usergroups.disable": Method(function=usergroups_disable, tier=2, scopes=WRITES),
    "usergroups.users.list": Method(function=usergroups_users_list, tier=2, scopes=READS),
    "usergroups.users.update": Method(function=usergroups_users_update, tier=2, scopes=WRITES),
    "dnd.info": Method(function=dnd_info, scopes=("dnd:read",)),
}
