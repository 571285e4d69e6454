"""Emoji as people see them and as Slack names them. Pure.

Slack's interface knows emoji by name only. The table holds those that people and agents commonly react with; any other,
a workspace's own too, can be given by its name between colons.
"""

from __future__ import annotations

import re

_TABLE = """
👍 +1|👎 -1|❤ heart|🔥 fire|👏 clap|😁 grin|🤔 thinking_face|🤯 exploding_head|😱 scream|😢 cry|🎉 tada
🤩 star-struck|🙏 pray|👌 ok_hand|🥱 yawning_face|😍 heart_eyes|💯 100|🤣 rolling_on_the_floor_laughing
⚡ zap|🏆 trophy|💔 broken_heart|🤨 face_with_raised_eyebrow|😐 neutral_face|😴 sleeping|😭 sob|🤓 nerd_face
👻 ghost|👀 eyes|🎃 jack_o_lantern|🙈 see_no_evil|🙉 hear_no_evil|🙊 speak_no_evil|😇 innocent|😨 fearful
🤝 handshake|✍ writing_hand|🤗 hugging_face|🫡 saluting_face|🎅 santa|🎄 christmas_tree|💅 nail_care
🤪 zany_face|🗿 moyai|🆒 cool|💘 cupid|🦄 unicorn_face|😘 kissing_heart|💊 pill|😎 sunglasses
👾 space_invader|🤷 shrug|😡 rage|🤬 face_with_symbols_on_mouth|💩 hankey|🤡 clown_face|😀 grinning
😃 smiley|😄 smile|😆 laughing|😅 sweat_smile|😂 joy|🙂 slightly_smiling_face|🙃 upside_down_face|😉 wink
😊 blush|🥰 smiling_face_with_3_hearts|😋 yum|😜 stuck_out_tongue_winking_eye|😛 stuck_out_tongue
🤑 money_mouth_face|🤫 shushing_face|🤐 zipper_mouth_face|😑 expressionless|😶 no_mouth|😏 smirk|😒 unamused
🙄 face_with_rolling_eyes|😬 grimacing|😌 relieved|😔 pensive|😪 sleepy|🤤 drooling_face|😷 mask
🤒 face_with_thermometer|🤢 nauseated_face|🤮 face_vomiting|🤧 sneezing_face|🥵 hot_face|🥶 cold_face
🥴 woozy_face|😵 dizzy_face|🥳 partying_face|🤠 face_with_cowboy_hat|🧐 face_with_monocle|😕 confused
😟 worried|🙁 slightly_frowning_face|😮 open_mouth|😲 astonished|😳 flushed|🥺 pleading_face|😦 frowning
😧 anguished|😰 cold_sweat|😥 disappointed_relieved|😓 sweat|😞 disappointed|😣 persevere|😖 confounded
😫 tired_face|😩 weary|😤 triumph|😠 angry|😈 smiling_imp|💀 skull|👽 alien|🤖 robot_face|😺 smiley_cat
💋 kiss|💖 sparkling_heart|💙 blue_heart|💚 green_heart|💛 yellow_heart|💜 purple_heart|🧡 orange_heart
🖤 black_heart|🤍 white_heart|💥 boom|💦 sweat_drops|💨 dash|💬 speech_balloon|💭 thought_balloon|💤 zzz
👋 wave|✋ hand|🖖 spock-hand|✌ v|🤞 crossed_fingers|🤟 i_love_you_hand_sign|🤘 the_horns|👈 point_left
👉 point_right|👆 point_up_2|👇 point_down|☝ point_up|✊ fist|👊 facepunch|🙌 raised_hands|👐 open_hands
🤲 palms_up_together|💪 muscle|🧠 brain|👶 baby|🙋 raising_hand|🤦 face_palm|🙇 bow|👮 cop|🕵 sleuth_or_spy
👷 construction_worker|👑 crown|🎓 mortar_board|💎 gem|🐶 dog|🐱 cat|🐭 mouse|🐰 rabbit|🦊 fox_face|🐻 bear
🐼 panda_face|🐯 tiger|🐷 pig|🐸 frog|🐵 monkey_face|🐔 chicken|🐧 penguin|🐦 bird|🦉 owl|🐺 wolf|🐴 horse
🐝 bee|🐛 bug|🦋 butterfly|🐌 snail|🐢 turtle|🐍 snake|🐙 octopus|🐳 whale|🐬 dolphin|🐟 fish|🌵 cactus
🌲 evergreen_tree|🌴 palm_tree|🌱 seedling|🍀 four_leaf_clover|🌹 rose|🌻 sunflower|🌍 earth_africa
🌙 crescent_moon|⭐ star|🌟 star2|✨ sparkles|☀ sunny|☁ cloud|🌈 rainbow|☔ umbrella_with_rain_drops
❄ snowflake|⛄ snowman_without_snow|💧 droplet|🌊 ocean|🍎 apple|🍌 banana|🍉 watermelon|🍓 strawberry
🍒 cherries|🍍 pineapple|🍅 tomato|🥑 avocado|🌽 corn|🍞 bread|🧀 cheese_wedge|🍔 hamburger|🍕 pizza
🌭 hotdog|🌮 taco|🍣 sushi|🍦 icecream|🍰 cake|🎂 birthday|🍫 chocolate_bar|🍿 popcorn|☕ coffee|🍵 tea
🍾 champagne|🍷 wine_glass|🍺 beer|🍻 beers|🥂 clinking_glasses|⚽ soccer|🏀 basketball|🎾 tennis|🎯 dart
🎮 video_game|🎲 game_die|🎨 art|🎤 microphone|🎧 headphones|🎸 guitar|🎬 clapper|🥇 first_place_medal
🥈 second_place_medal|🥉 third_place_medal|🏅 sports_medal|🚗 car|🚕 taxi|🚌 bus|🚑 ambulance|🚒 fire_engine
🚲 bike|✈ airplane|🚀 rocket|🛸 flying_saucer|⛵ boat|⚓ anchor|🏠 house|🏢 office|🏥 hospital
🏖 beach_with_umbrella|⏰ alarm_clock|⏳ hourglass_flowing_sand|⌛ hourglass|⌚ watch|📱 iphone|💻 computer
⌨ keyboard|🖥 desktop_computer|🖨 printer|💾 floppy_disk|💿 cd|📷 camera|🎥 movie_camera
📞 telephone_receiver|📺 tv|🔋 battery|🔌 electric_plug|💡 bulb|🔦 flashlight|💸 money_with_wings
💰 moneybag|💳 credit_card|🔧 wrench|🔨 hammer|⚙ gear|🔩 nut_and_bolt|🧲 magnet|💣 bomb|🔪 knife|🛡 shield
🔮 crystal_ball|🔬 microscope|🔭 telescope|🧪 test_tube|🌡 thermometer|🚪 door|🛒 shopping_trolley|🎁 gift
🎈 balloon|✉ email|📧 e-mail|📦 package|📫 mailbox|📄 page_facing_up|📅 date|📆 calendar
📈 chart_with_upwards_trend|📉 chart_with_downwards_trend|📊 bar_chart|📋 clipboard|📌 pushpin
📍 round_pushpin|📎 paperclip|📏 straight_ruler|✂ scissors|📁 file_folder|📂 open_file_folder
🗑 wastebasket|🔒 lock|🔓 unlock|🔑 key|📝 memo|✏ pencil2|📖 book|📚 books|🔖 bookmark|🔗 link|🔍 mag
🔎 mag_right|📣 mega|📢 loudspeaker|🔔 bell|🔕 no_bell|🎵 musical_note|🎶 notes|✅ white_check_mark
☑ ballot_box_with_check|✔ heavy_check_mark|❌ x|❎ negative_squared_cross_mark|❓ question
❔ grey_question|❗ exclamation|❕ grey_exclamation|‼ bangbang|⁉ interrobang|⚠ warning|🚫 no_entry_sign
⛔ no_entry|🛑 octagonal_sign|🚧 construction|🚨 rotating_light|♻ recycle|🔄 arrows_counterclockwise
🔁 repeat|➕ heavy_plus_sign|➖ heavy_minus_sign|▶ arrow_forward|⏸ double_vertical_bar
⏹ black_square_for_stop|⬆ arrow_up|⬇ arrow_down|⬅ arrow_left|➡ arrow_right|↩ leftwards_arrow_with_hook
🔙 back|🔜 soon|🆗 ok|🆕 new|🆘 sos|ℹ information_source|🔴 red_circle|🟢 large_green_circle
🟡 large_yellow_circle|🟠 large_orange_circle|🔵 large_blue_circle|⚪ white_circle|⚫ black_circle
🏁 checkered_flag|🚩 triangular_flag_on_post|🏳 waving_white_flag|1⃣ one|2⃣ two|3⃣ three|4⃣ four
5⃣ five|6⃣ six|7⃣ seven|8⃣ eight|9⃣ nine|0⃣ zero|🔟 keycap_ten
"""
_NAMES: dict[str, str] = {}
"""Emoji without its variation sign → Slack's name."""
for _pair in _TABLE.replace("\n", "|").split("|"):
    if _pair:
        _emoji, _name = _pair.split(" ")
        _NAMES[_emoji] = _name
_EMOJI = {name: emoji for emoji, name in _NAMES.items()} | {
    "thumbsup": "👍",
    "thumbsdown": "👎",
    "poop": "💩",
    "satisfied": "😆",
    "raised_hand": "✋",
    "punch": "👊",
    "unicorn": "🦄",
    "heavy_exclamation_mark": "❗",
    "honeybee": "🐝",
    "robot": "🤖",
    "collision": "💥",
    "envelope": "✉",
}
_TONES = {f"skin-tone-{number}": chr(0x1F3F9 + number) for number in range(2, 7)}
_TONE_NAMES = {sign: name for name, sign in _TONES.items()}
_SIGNS = str.maketrans("", "", "\ufe0f")
_NAME = re.compile(r"[a-z0-9_+'\-\u00c0-\uffff]{1,100}\Z")
_CODE = re.compile(r"(?<![\w:]):([a-z0-9_+\-]{1,100})(?:::?(skin-tone-[2-6]):)?(?(2)|:)(?!\w)")


def slack_name(emoji: str) -> str | None:
    """Return Slack's name of an emoji, or of `:a_name:`, which is taken as it is; None for one that is not known."""
    if len(emoji) > 2 and emoji[0] == emoji[-1] == ":" and emoji.isascii():
        name = emoji[1:-1]
        return name if _NAME.match(name.partition("::")[0]) else None
    plain = emoji.translate(_SIGNS)
    if plain in _NAMES:
        return _NAMES[plain]
    tone = _TONE_NAMES.get(plain[-1:])
    base = _NAMES.get(plain[:-1]) if tone else None
    return f"{base}::{tone}" if base else None


def emoji_of(name: str) -> str:
    """Return the emoji that Slack calls so; `:name:` for one that only Slack or the workspace knows."""
    base, _, tone = name.partition("::")
    emoji = _EMOJI.get(base)
    return f":{name}:" if emoji is None else emoji + _TONES.get(tone, "")


def with_emoji(text: str) -> str:
    """Return the text with the names of known emoji as what people saw."""
    return _CODE.sub(_replaced, text) if ":" in text else text


def _replaced(found: re.Match[str]) -> str:
    emoji = _EMOJI.get(found[1])
    return found[0] if emoji is None else emoji + _TONES.get(found[2] or "", "")
