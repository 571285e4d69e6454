"""What `channel add` says before it asks for a token: where to click on each platform. Pure.

Each step is one place in that platform's own pages, under the names that stand there (November 2026).
"""

from __future__ import annotations

from collections.abc import Mapping

TELEGRAM = """\
In Telegram, on your phone or at web.telegram.org:
  1. Open the chat with @BotFather and send /newbot.
  2. Choose a name, and a user name that ends in "bot".
  3. @BotFather answers with the token: 123456789:AA….
In groups the bot hears only commands, replies and mentions, unless you send /setprivacy to @BotFather."""

DISCORD = """\
At https://discord.com/developers/applications, logged in as yourself:
  1. New Application, a name, Create.
  2. Bot, on the left: switch on "Message Content Intent" under Privileged Gateway Intents; "Server Members Intent"
     too, if the agent is to hear who comes and goes. Save Changes.
  3. Reset Token on the same page, and copy it: it is shown once."""

SLACK = """\
At https://api.slack.com/apps, logged in to your workspace:
  1. Create New App, From a manifest, your workspace; choose JSON and paste what
     `./nightyard channel manifest` prints. Next, Create.
  2. Install App, on the left: Install to Workspace, Allow. Copy the "Bot User OAuth Token" (xoxb-…).
  3. Basic Information, App-Level Tokens: Generate Token and Scopes, add the scope connections:write, Generate.
     Copy that token too (xapp-…)."""

GUIDES: Mapping[str, str] = {"telegram": TELEGRAM, "discord": DISCORD, "slack": SLACK}
PROMPTS: Mapping[str, tuple[str, ...]] = {
    "telegram": ("Bot token",),
    "discord": ("Bot token",),
    "slack": ("Bot User OAuth Token (xoxb-…)", "App-Level Token (xapp-…)"),
}
"""What is asked for, in this order; a secret of several parts holds them with spaces between."""
WHERE: Mapping[str, str] = {
    "telegram": "ask @BotFather on Telegram for one: /newbot or /token",
    "discord": "https://discord.com/developers/applications, your application, Bot, Reset Token",
    "slack": "https://api.slack.com/apps, your app: Install App, and Basic Information, App-Level Tokens",
}
"""Where a token comes from that is missing or refused."""
