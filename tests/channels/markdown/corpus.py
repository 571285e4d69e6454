"""The documents that every back-end must carry: what agents write, what people paste, and what was made to break.

Families are products of constructs and the places where they may stand, so that each pair is met once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

CONSTRUCTS = {
    "bold": "some **bold words** here",
    "italic": "an *italic word* and _another one_",
    "both": "***both at once*** and **bold with *italic* inside**",
    "struck": "this is ~~gone~~ and this stays",
    "code": "call `frobnicate(x, y)` twice",
    "code-ticks": "write `` a`b `` or ``` c``d ``` there",
    "link": "see [the manual](https://example.org/a_(b)?x=1&y=2#top) first",
    "link-styled": "see [**bold** and `code`](https://example.org/x) now",
    "link-local": "edit [the file](./src/main.py) please",
    "link-script": "never [click](javascript:alert(1)) that",
    "link-mail": "ask <ada@example.org> or [her](mailto:ada@example.org)",
    "bare-address": "it is at https://example.org/a_b*c?d=e_f, or not",
    "address-in-bold": "**https://example.org/x_y** is *https://example.org/p*q*",
    "image": 'look: ![a red *fox*](https://example.org/fox.png "a title")',
    "escapes": r"literal \*stars\*, \_lines\_, \`ticks\`, \[brackets\](not), \# and \\",
    "snake": "use snake_case_names and __dunder__ and 2*3*4 and a ~ b",
    "html": "an <b>old</b> <script>alert('x')</script> habit &amp; &lt;more&gt;",
    "compare": "if a < b && c > d then x |= y || z",
    "mentions": "tell @everyone and @here, <@123456789012345678>, <@&42>, <#7>, <!channel>, <!subteam^S1> @channel",
    "shortcodes": "a :smile: and <:custom:123456789012345678> and <t:1700000000:R>",
    "emoji": "a 👨‍👩‍👧‍👦 family, 🇫🇷 flag, e\u0301 accent, 漢字 and \u202eevil\u202c",
    "break": "first line\\\nsecond line  \nthird line\nfourth line",
    "math": "the sum $a_1 + b^2$ and \\(x\\) cost $5 or $10",
    "quote-signs": "> not really a quote when it is inside",
    "hashes": "issue #12 and C# and ## nothing",
    "dashes": "a -- b --- c – d — e",
    "pipes": "a | b | c ||spoiler|| d",
    "numbers": "1. is not always a list: 1986\\. was a year",
    "footnote": "as said[^1] and [x] and [ ] and [undefined][ref]",
    "long-word": "x" * 300 + " then short",
}
PLACES = {
    "paragraph": "{0}\n\nand after.",
    "heading": "## {0}\n\nText under it.",
    "item": "- first\n- {0}\n- last",
    "nested": "1. one\n   - inner\n     - {0}\n2. two",
    "ordered": "7. seven\n8. {0}\n9. nine",
    "quote": "> {0}\n>\n> said somebody",
    "quote-list": "> - {0}\n> - more",
    "task": "- [x] done\n- [ ] {0}",
    "cell": "| key | value |\n|:--|--:|\n| one | {1} |\n| two | plain |",
    "after-fence": "```sh\nls -l\n```\n{0}",
    "bold-around": "**Note:** {0} **end**",
}
CODE = 'def f(a):\n    """Say `x`."""\n    return {"a": a, "b": "<@1> @here & **no**"}\n\n\nprint(f(1))'
HOSTILE = {
    "ticks-inside": "````md\n```py\nx = 1\n```\n````\n\nafter",
    "tildes-inside": "~~~~\n~~~\nx\n~~~\n~~~~\nafter",
    "unclosed-fence": "before\n\n```python\n" + CODE,
    "fence-info": '```js title="a.js" {1,2}\nlet x = 1\n```',
    "fence-odd-language": "```{.python}\nx\n```\n\n```c++\ny\n```\n\n```objective-c\nz\n```",
    "fence-empty": "```\n```\n\nafter",
    "fence-blank": "```\n\n   \n\n```\n\nafter",
    "fence-word": "```\npython\nprint\n```",
    "fence-in-quote": "> before\n>\n> ```sh\n> echo hi\n> ```\n>\n> after",
    "fence-in-list": "1. do\n\n   ```sh\n   make\n   ```\n\n2. then\n   ```\n   x\n   ```\n3. end",
    "fence-first-in-item": "- ```\n  code\n  ```\n- text",
    "indented-code": "text\n\n    indented code\n      more\n\ntext",
    "deep-quotes": "> one\n>> two\n>>> three\n>>>> four",
    "deep-list": "\n".join("  " * depth + f"- level{depth}" for depth in range(12)),
    "deep-emphasis": "*" * 40 + "core" + "*" * 40,
    "deep-brackets": "[" * 200 + "core" + "]" * 200,
    "many-brackets": "![" * 4000,
    "unclosed": "**bold *italic `code [link](http://example.org ~~struck",
    "crossed": "**a *b** c* ~~d **e~~ f** `g **h` i**",
    "tight-marks": "a**b**c*d*e~~f~~g`h`i **j**k",
    "spaced-marks": "a ** b ** c * d * e _ f _ g",
    "only-marks": "* _ ~ ` # > - + | \\ [ ] ( ) < > &",
    "rules": "above\n\n---\n\n***\n\n___\n\nbelow",
    "setext": "Title one\n===\n\nTitle two\nin two lines\n---\n\ntext",
    "all-headings": "\n\n".join("#" * level + f" Level {level}" for level in range(1, 8)),
    "controls": "a\x00b\x07c\x1b[31md\x7fe\u2028f\u2029g\r\nh\ri",
    "bidi": "safe\u202etxt.exe\u202c and \u2066isolated\u2069",
    "surrogate": "a \ud83d lone \ude00 half",
    "zero-width": "z\u200be\u200cr\u200do w\u2060idth",
    "combining": "Z" + "\u0351\u0352\u0353" * 60 + " done",
    "wide": "全角文字の表\n\n| 名前 | 値 |\n|---|---|\n| 東京 | １２３ |",
    "rtl": "שלום **עולם** and مرحبا *بالعالم*",
    "long-code-line": "```\n" + "abcdefghij" * 900 + "\n```",
    "long-code": "```python\n" + "\n".join(f"    line_{n} = '{n}'" for n in range(700)) + "\n```\n\nend",
    "long-word": "w" * 9000,
    "long-list": "\n".join(f"{n}. item number {n} with some words" for n in range(1, 400)),
    "long-loose-list": "\n\n".join(f"{n}. item {n}\n\n   and its second paragraph" for n in range(5, 120)),
    "long-quote": "\n".join(f"> line {n} of what was said" for n in range(300)),
    "long-bold": "**" + "very bold words " * 500 + "end**",
    "long-link-text": "[" + "label words " * 500 + "end](https://example.org/)",
    "long-address": "[label](https://example.org/" + "p/" * 1500 + ") after",
    "long-bare-address": "see https://example.org/" + "q" * 3000 + " after",
    "long-table": "| n | square |\n|---|---|\n" + "\n".join(f"| {n} | {n * n} |" for n in range(400)),
    "wide-table": "| name | what it does | where | why |\n|---|---|---|---|\n"
    + "\n".join(
        f"| tool {n} | does **thing** {n} with `care` | [here](https://example.org/{n}) |  |" for n in range(40)
    ),
    "ragged-table": "| a | b | c |\n|---|---|---|\n| 1 |\n| 1 | 2 | 3 | 4 |\n|||",
    "head-only-table": "| alone | at the top |\n|---|---|",
    "many-links": " ".join(f"[l{n}](https://example.org/{n})" for n in range(300)),
    "many-codes": " ".join(f"`c{n}`" for n in range(500)),
    "specials": "&<>*_~`|\\" * 600,
    "ampersands": "&" * 3000,
    "mentions": "@everyone <@12345678901234567> " * 200,
    "ticks": "`" * 2500,
    "newlines": "a" + "\n" * 200 + "b",
    "spaces": "a" + " " * 5000 + "b",
    "families": "👨‍👩‍👧‍👦" * 700,
    "definitions": '[ref]: https://example.org "title"\n\nUse [ref] and [text][ref].',
    "html-block": "<details>\n<summary>More</summary>\n\nhidden **text**\n\n</details>",
    "comment": "before <!-- a comment --> after\n\n<!-- block\ncomment -->\n\nend",
    "entities": "&copy; &#35; &#x1F600; &nosuch; &lt;b&gt;",
    "windows": "# Title\r\n\r\n- a\r\n- b\r\n\r\n```\r\ncode\r\n```\r\n",
    "tabs": "-\ta\n\t- b\n\n\tcode\n\nx\ty",
    "star-list": "* a\n* b\n+ c\n+ d\n1) e\n2) f",
    "huge-number": "999999999. last\n1000000000. not a list",
    "escaped-first": "\\# a\n\n\\- b\n\n\\> c\n\n1\\. d\n\n\\+ e\n\n-# f",
    "label-is-address": "[https://good.example](https://evil.example) and [a]b](https://example.org)",
    "only-blank-code": "`  ` and ` x ` and ``  ` ``",
    "italic-address": "_see https://example.org/a_b_c for more_ and *https://example.org/x*y*z*",
    "address-touching": "https://example.org/x**bold**https://example.org/y`code`<https://example.org/z>",
}
REPLIES = tuple(Path(__file__).with_name("replies.md").read_text("utf-8").split("\n%%%\n"))


def documents() -> Iterator[tuple[str, str]]:
    """Yield each document with its name."""
    for place, frame in PLACES.items():
        for name, text in CONSTRUCTS.items():
            inside = text.replace("\n", _line_end(place))
            cell = text.replace("|", "\\|").replace("\n", " ")
            yield f"{place}/{name}", frame.format(inside, cell)
    yield from ((f"hostile/{name}", text) for name, text in HOSTILE.items())
    yield from ((f"reply/{number}", text) for number, text in enumerate(REPLIES))
    everything = [text for name, text in HOSTILE.items() if not name.startswith(("many-b", "unclosed"))]
    yield "all/constructs", "\n\n".join(CONSTRUCTS.values())
    yield "all/hostile", "\n\n".join(everything)
    yield "all/replies", "\n\n---\n\n".join(REPLIES * 8)


def _line_end(place: str) -> str:
    """Return the line end after which a construct of several lines goes on in its place."""
    ends = {"heading": " ", "item": "\n  ", "task": "\n  ", "ordered": "\n   ", "nested": "\n       "}
    return "\n> " if place.startswith("quote") else ends.get(place, "\n")
