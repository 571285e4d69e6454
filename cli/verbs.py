"""The verbs of the `nightyard` command and where each is written. Pure; imports nothing: `--help` is made of it.

Each names a module and a click command in it, imported only when the verb is used.
"""

from __future__ import annotations

SECTIONS = (
    (
        "Run",
        (
            ("up", "cli.up:up", "Set up what is missing, start everything, open a chat."),
            ("down", "cli.up:down", "End agents, host and proxy; never the container engine."),
            ("chat", "cli.chat:chat", "Talk to an agent in this terminal."),
            ("send", "cli.send:send", "Ask an agent one thing, and print its answer."),
            ("task", "cli.task:task", "Hand in work from a file, and see what became of it."),
            ("status", "cli.status:status", "What runs, what waits, what is wrong."),
            ("tasks", "cli.tasks:tasks", "What of an agent works, waits and has ended."),
            ("session", "cli.session:session", "Conversations: list, go on with, sum up, write out."),
            ("model", "cli.model:model", "Which model answers; choose another."),
            ("skills", "cli.skills:skills", "What an agent has been taught to do."),
            ("memory", "cli.memory:memory", "What an agent has noted for itself."),
            ("usage", "cli.usage:usage", "What models were used, and what that cost."),
            ("budget", "cli.usage:budget", "Today's budgets; raise one, wait, or stop."),
            ("logs", "cli.logs:logs", "Show or follow what the processes wrote."),
            ("trace", "cli.trace:trace", "The whole story of one message or task."),
            ("letters", "cli.letters:letters", "What failed and waits: explain, try again, close."),
            ("retry", "cli.letters:retry", "Try again what failed; the same as `letters retry`."),
            ("export", "cli.export:export", "Write what people decided, and what happened, into files."),
            ("forget", "cli.forget:forget", "Destroy what a person said, was told and sent."),
            ("schedule", "cli.schedule:schedule", "Have agents do things at times."),
            ("delegations", "cli.delegations:delegations", "What agents have asked of other agents."),
            ("undo", "cli.undo:undo", "Take an agent's files back to before a task."),
            ("history", "cli.undo:history", "The tasks that an agent's files can be taken back to."),
            ("approvals", "cli.approve:approvals", "What waits for your yes or no, and what was decided."),
            ("approve", "cli.approve:approve", "Let something go that waits, as it was shown."),
            ("deny", "cli.approve:deny", "Refuse something that waits."),
            ("answer", "cli.answer:answer", "Answer what an agent has asked."),
            ("audit", "cli.audit:audit", "What went out and what was refused, and what it sums up to."),
            ("journal", "cli.journal:journal", "What happened, entry by entry; and is its chain whole."),
            ("verify", "cli.verify:verify", "Check that journal and audit are as they were written."),
        ),
    ),
    (
        "Stop",
        (
            ("stop", "cli.stop:stop", "Stop a task, a chat's work, or every task."),
            ("new", "cli.stop:new", "Start a chat's conversation afresh."),
            ("pause", "cli.pause:pause", "Hold an agent back in all its chats."),
            ("resume", "cli.pause:resume", "Let it go on."),
            ("freeze", "cli.freeze:freeze", "Stop all agents and all they may reach, until unfrozen."),
            ("unfreeze", "cli.freeze:unfreeze", "Lift the freeze."),
        ),
    ),
    (
        "Set up",
        (
            ("group", "cli.group:group", "Make, list and show agent groups."),
            ("image", "cli.images:image", "Build, list, refresh and remove what agents run in."),
            ("skill", "cli.skill:skill", "Make, check, test, add, update and remove skills."),
            ("space", "cli.space:space", "Folders that agents share, and who wrote what there."),
            ("channel", "cli.channel:channel", "Connect chat platforms."),
            ("pair", "cli.pair:pair", "Make a code that lets a person in."),
            ("person", "cli.person:person", "Who may speak to agents, as what, and how much."),
            ("bind", "cli.bind:bind", "Give a chat an agent, or change how it answers there."),
            ("unbind", "cli.bind:unbind", "Take an agent from a chat."),
            ("bindings", "cli.bind:bindings", "Which agents answer in which chats."),
            ("settings", "cli.bind:bindings", "How agents answer in chats; the same as `bindings`."),
            ("whoami", "cli.whoami:whoami", "Who you are to Nightyard on this machine."),
            ("destination", "cli.destination:destination", "Where an agent may send of its own accord."),
            ("access", "cli.access:access", "Who was refused, and what waits for your yes."),
            ("secret", "cli.secrets:secret", "Keep keys in the vault, where no agent sees them."),
            ("constraint", "cli.constraint:constraint", "What agents must always ask about first."),
            ("allow", "cli.allow:allow", "Let a group reach hosts, without a key."),
            ("policy", "cli.policy:policy", "Try grants out, and find out which a group needs."),
            ("program", "cli.program:program", "Let programs hand in tasks."),
            ("token", "cli.token:token", "Let tools on this machine use what a group is granted."),
            ("vault", "cli.vault:vault", "See and change the key that opens all secrets."),
            ("config", "cli.config:config", "Check the settings, or have them read again."),
        ),
    ),
    (
        "Work on Nightyard",
        (
            ("test", "cli.test:test", "Set up what the tests need and run them."),
            ("check", "cli.check:check", "Format, lint, types, floors and documents."),
            ("bench", "bench.cli:bench", "Measure speed and memory against the targets."),
            ("twin", "cli.twin:twin", "Run a platform's or a model's twin alone."),
        ),
    ),
)
"""(section, ((verb, "module:command", what it does), …)), in the order they are shown."""

VERBS: dict[str, tuple[str, str]] = {verb: (where, what) for _, verbs in SECTIONS for verb, where, what in verbs}
"""Verb to ("module:command", what it does)."""


def overview() -> str:
    """Return the help of the command as a whole."""
    lines = ["Usage: nightyard VERB [OPTIONS]", "", "Runs AI agents in hardened containers and bridges them to chats."]
    for section, verbs in SECTIONS:
        lines += ["", f"{section}:"]
        lines += [f"  {verb:<12}{what}" for verb, _, what in verbs]
    lines += ["", "`nightyard VERB --help` tells more. Exit codes: 0 done, 1 refused or failed, 2 not understood,"]
    lines += ["3 the host is not running, 130 interrupted."]
    return "\n".join(lines) + "\n"
