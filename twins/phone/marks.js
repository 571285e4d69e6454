// Shows a message's text as its platform's app does: Telegram's entities; Discord's and Slack's marks. Only ever makes
// elements and text, never markup out of a message.
"use strict";

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function link(address, ...children) {
  const safe = /^(https?:|mailto:|tel:)/i.test(address) ? address : /^[\w.-]+\.\w+/.test(address) ? `https://${address}` : null;
  return safe ? element("a", { href: safe, target: "_blank", rel: "noreferrer noopener" }, ...children)
    : element("span", { class: "mention", title: address }, ...children);
}

const ENTITY = {
  bold: () => element("strong"),
  italic: () => element("em"),
  underline: () => element("u"),
  strikethrough: () => element("s"),
  spoiler: () => element("span", { class: "spoiler" }),
  code: () => element("code"),
  pre: () => element("pre"),
  blockquote: () => element("blockquote"),
  expandable_blockquote: () => element("blockquote"),
  text_link: (entity) => link(entity.url),
  url: (_, text) => link(text),
  email: (_, text) => link(`mailto:${text}`),
};

// A block stands on lines of its own: the breaks around it are its own too.
const BLOCKS = new Set(["pre", "blockquote", "expandable_blockquote"]);

// Offsets are UTF-16 units, which is what a string here counts in; entities come with the outer one first.
function withEntities(text, entities, from = 0, to = text.length, into = document.createDocumentFragment()) {
  let at = from;
  const inside = entities.filter((entity) => entity.offset >= from && entity.offset + entity.length <= to);
  for (let index = 0; index < inside.length; index++) {
    const entity = inside[index];
    const end = entity.offset + entity.length;
    if (entity.offset < at) continue;
    const isBlock = BLOCKS.has(entity.type);
    const before = text.slice(at, entity.offset);
    into.append(isBlock ? before.replace(/\n$/, "") : before);
    const make = ENTITY[entity.type] || (() => element("span", { class: "mention" }));
    const made = make(entity, text.slice(entity.offset, end));
    withEntities(text, inside.slice(index + 1), entity.offset, end, made);
    into.append(made);
    at = isBlock && text[end] === "\n" && end < to ? end + 1 : end;
  }
  into.append(text.slice(at, to));
  return into;
}

const CODE_MARKS = [
  [/^```(?:[\w+#.-]*\n)?([\s\S]*?)```/, (found) => element("pre", {}, found[1].replace(/\n$/, ""))],
  [/^`([^`\n]+)`/, (found) => element("code", {}, found[1])],
  [/^<?(https?:\/\/[^\s<>|)]+)>?/, (found) => link(found[1], found[1])],
  [/^_(\S[^_\n]*?)_(?!\w)/, (found) => element("em", {}, withMarks(found[1]))],
];
const DISCORD_MARKS = [
  [/^\[([^\]\n]+)\]\(<?([^\s)>]+)>?\)/, (found) => link(found[2], withMarks(found[1]))],
  [/^\*\*([^\n]+?)\*\*/, (found) => element("strong", {}, withMarks(found[1]))],
  [/^__([^\n]+?)__/, (found) => element("u", {}, withMarks(found[1]))],
  [/^~~([^\n]+?)~~/, (found) => element("s", {}, withMarks(found[1]))],
  [/^\|\|([^\n]+?)\|\|/, (found) => element("span", { class: "spoiler" }, withMarks(found[1]))],
  [/^\*(\S[^*\n]*?)\*(?!\w)/, (found) => element("em", {}, withMarks(found[1]))],
  ...CODE_MARKS,
];
const SLACK_MARKS = [
  [/^<((?:https?|mailto):[^|>\s]+)\|([^>]+)>/, (found) => link(found[1], found[2])],
  [/^\*(\S[^*\n]*?)\*(?!\w)/, (found) => element("strong", {}, withMarks(found[1]))],
  [/^~(\S[^~\n]*?)~(?!\w)/, (found) => element("s", {}, withMarks(found[1]))],
  ...CODE_MARKS,
];
let marks = DISCORD_MARKS;

function withMarks(text) {
  const made = document.createDocumentFragment();
  let plain = "";
  for (let at = 0; at < text.length;) {
    const rest = text.slice(at);
    const lineStart = at === 0 || text[at - 1] === "\n";
    const quote = lineStart && /^(?:>>> ?([\s\S]*)|((?:> ?[^\n]*(?:\n|$))+))/.exec(rest);
    const head = lineStart && marks === DISCORD_MARKS && /^#{1,3} ([^\n]+)/.exec(rest);
    const mark = !/\w$/.test(plain) || "`[<*|~".includes(rest[0]) ? marks.find(([pattern]) => pattern.test(rest)) : undefined;
    if (!quote && !head && !mark) {
      const isEscape = marks === DISCORD_MARKS && /^\\[^\w\s]/.test(rest);
      plain += isEscape ? rest[1] : rest[0];
      at += isEscape ? 2 : 1;
      continue;
    }
    const isBlock = quote || rest.startsWith("```");
    made.append(isBlock ? plain.replace(/\n$/, "") : plain);
    plain = "";
    if (quote) made.append(element("blockquote", {}, withMarks(quote[1] ?? quote[2].replace(/^> ?/gm, "").trimEnd())));
    else if (head) made.append(element("strong", {}, withMarks(head[1])));
    else made.append(mark[1](mark[0].exec(rest)));
    at += quote ? quote[0].length : head ? head[0].length : mark[0].exec(rest)[0].length;
    if (isBlock && text[at] === "\n") at += 1;
  }
  made.append(plain);
  return made;
}

function shownText(platform, text, { entities, raw } = {}) {
  marks = platform === "slack" ? SLACK_MARKS : DISCORD_MARKS;
  if (platform === "telegram") return withEntities(text, entities || []);
  return (platform === "slack" && withBlocks(raw?.blocks)) || withMarks(text);
}
