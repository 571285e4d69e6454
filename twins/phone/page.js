// The phone: one person, one chat, what they see and can do, through the user's side that every twin has.
"use strict";

const REACTIONS = ["👍", "❤", "🎉", "👀"];
const SLACK_REACTIONS = { "👍": "thumbsup", "❤": "heart", "🎉": "tada", "👀": "eyes" };
const LOOK_AGAIN_MS = 1500;
const here = (id) => document.getElementById(id);
const at = { world: null, person: null, chat: null, thread: "", seen: null, about: null, again: 0, isAtEnd: true };

async function ask(path, body) {
  const given = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(`/twin/${path}`, given);
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.description || said.error || said.message || `the twin answered ${answer.status}`);
  return said;
}

function tell(problem) {
  here("problem").textContent = problem.message || String(problem);
  here("problem").hidden = false;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { here("problem").hidden = true; }, 6000);
}

async function act(verb, body) {
  try {
    await ask(verb, { person: at.person, chat: at.chat.id, ...(at.thread ? { thread: at.thread } : {}), ...body });
  } catch (problem) {
    tell(problem);
  }
}

const same = (one, other) => String(one) === String(other);
const nameOf = (id) => (same(id, at.world.bot.id) ? at.world.bot : at.world.people.find((each) => same(each.id, id)) || { name: id }).name;
const isDirect = (chat) => chat.kind === "direct";

function chatsOfPerson() {
  return at.world.chats.filter((chat) => !chat.people || chat.people.some((each) => same(each, at.person)));
}

async function readWorld() {
  at.world = await ask("world");
  document.title = `Phone · ${at.world.platform}`;
  here("platform").textContent = `${at.world.platform[0].toUpperCase()}${at.world.platform.slice(1)} twin`;
  const wanted = new URLSearchParams(location.hash.slice(1));
  at.person ??= (at.world.people.find((each) => same(each.id, wanted.get("person"))) || at.world.people[0]).id;
  const chats = chatsOfPerson().sort((one, other) => isDirect(other) - isDirect(one));
  const kept = at.chat ? at.chat.id : wanted.get("chat");
  at.chat = chats.find((chat) => same(chat.id, kept)) || chats.find(isDirect) || chats[0];
  if (!at.started) at.thread = wanted.get("thread") || "";
  at.started = true;
  here("person").replaceChildren(...at.world.people.map((each) => element("option", { value: each.id, selected: same(each.id, at.person) }, each.name)));
  showChats(chats);
}

function showChats(chats) {
  const rows = [];
  for (const chat of chats) {
    rows.push(chatRow(chat, "", isDirect(chat) ? `💬 ${at.world.bot.name}` : `👥 ${chat.name}`));
    for (const thread of chat.threads || []) rows.push(chatRow(chat, thread.id, `↳ ${thread.name}`));
  }
  here("chats").replaceChildren(...rows);
  const thread = (at.chat.threads || []).find((each) => same(each.id, at.thread));
  here("title").textContent = isDirect(at.chat) ? at.world.bot.name : at.chat.name + (thread ? ` › ${thread.name}` : "");
  here("subtitle").textContent = isDirect(at.chat) ? "bot" : (at.chat.people || []).map(nameOf).join(", ");
}

function chatRow(chat, thread, words) {
  const current = same(chat.id, at.chat.id) && same(thread, at.thread);
  const open = () => { Object.assign(at, { chat, thread, about: null }); moved(true); };
  return element("button", { type: "button", class: thread ? "thread" : "", "aria-current": current ? "true" : null, onclick: open }, words);
}

async function moved(intoChat) {
  location.hash = new URLSearchParams({ person: at.person, chat: at.chat.id, ...(at.thread ? { thread: at.thread } : {}) });
  document.body.classList.toggle("in-chat", intoChat);
  at.seen = null;
  aboutMessage(null);
  await refresh();
}

async function refresh() {
  await readWorld();
  const place = { chat: at.chat.id, person: at.person, ...(at.thread ? { thread: at.thread } : {}) };
  const seen = await ask(`chat?${new URLSearchParams(place)}`);
  showMessages(seen);
  clearTimeout(at.again);
  if (seen.typing || seen.draft) at.again = setTimeout(() => refresh().catch(away), LOOK_AGAIN_MS);
}

function showMessages(seen) {
  const list = here("messages");
  at.isAtEnd ||= at.seen === null;
  const rows = seen.messages.map((message) => messageRow(message, seen.messages));
  if (seen.draft) rows.push(element("li", { class: "draft" }, element("div", { class: "bubble" }, who(at.world.bot.id), textOf({ text: seen.draft, entities: seen.draft_entities }))));
  if (!rows.length) rows.push(element("li", { class: "empty" }, "Nothing was said here yet. Say hello."));
  const signature = JSON.stringify([seen.messages, seen.draft]);
  if (signature !== at.seen) list.replaceChildren(...rows);
  at.seen = signature;
  here("typing").hidden = !seen.typing;
  stayAtEnd();
}

// What grows later, a picture that is loaded, must not push the newest words out of sight.
function stayAtEnd() {
  if (at.isAtEnd) here("messages").scrollTop = here("messages").scrollHeight;
}

const who = (id) => element("div", { class: "who" }, nameOf(id));
const textOf = (message) => element("div", { class: "text" }, shownText(at.world.platform, message.text || "", message));

function messageRow(message, all) {
  const mine = same(message.from, at.person);
  const replied = message.reply_to && all.find((each) => same(each.id, message.reply_to));
  const bubble = element("div", { class: "bubble" },
    mine || isDirect(at.chat) ? null : who(message.from),
    replied ? element("div", { class: "quoted" }, `${nameOf(replied.from)}: ${replied.text || "a file"}`) : null,
    message.files.length ? element("div", { class: "files" }, ...message.files.map(fileOf)) : null,
    element("div", { class: "body" }, textOf(message), element("span", { class: "meta" }, metaOf(message))));
  return element("li", { class: mine ? "mine" : "", "data-id": message.id },
    actsOf(message, mine),
    bubble,
    ...rowsOf(message.buttons).map((row) => element("div", { class: "buttons" }, ...row.map((button) => buttonOf(message, button)))),
    reactionsOf(message));
}

function rowsOf(buttons) {
  const rows = new Map();
  for (const button of buttons) rows.set(button.row || 0, [...(rows.get(button.row || 0) || []), button]);
  return [...rows.values()];
}

function metaOf(message) {
  return [message.ephemeral ? "only you see this" : "", message.edited ? "edited" : "", timeOf(message)].filter(Boolean).join(" · ");
}

function timeOf(message) {
  return message.at ? new Date(message.at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : "";
}

function fileOf(file) {
  const address = `/twin/file?${new URLSearchParams({ id: file.id })}`;
  const asLink = () => element("a", { href: address, download: file.name }, "📄", element("span", {}, file.name));
  if (file.kind !== "photo" && !/\.(png|jpe?g|gif|webp)$/i.test(file.name)) return asLink();
  return element("img", { src: address, alt: file.name, onerror: (event) => event.target.replaceWith(asLink()) });
}

function buttonOf(message, button) {
  const leads = /^https?:/.test(button.value || "");
  const press = () => (leads ? open(button.value, "_blank", "noopener") : act("press", { message_id: message.id, label: button.label, value: button.value }));
  return element("button", { type: "button", onclick: press }, button.label, leads ? " ↗" : "");
}

function reactionsOf(message) {
  const given = Object.entries(message.reactions || {});
  if (!given.length) return null;
  return element("div", { class: "reactions" }, ...given.map(([emoji, people]) => {
    const own = Array.isArray(people) && people.some((each) => same(each, at.person));
    const shown = Object.keys(SLACK_REACTIONS).find((each) => SLACK_REACTIONS[each] === emoji) || emoji;
    return element("button", { type: "button", class: own ? "own" : "", onclick: () => act("react", { message_id: message.id, emoji, take: own }) },
      `${shown} ${Array.isArray(people) ? people.length : people}`);
  }));
}

function actsOf(message, mine) {
  const button = (label, title, onclick) => element("button", { type: "button", title, "aria-label": title, onclick }, label);
  const react = (emoji) => act("react", { message_id: message.id, emoji: at.world.platform === "slack" ? SLACK_REACTIONS[emoji] : emoji });
  return element("div", { class: "acts" },
    ...REACTIONS.map((emoji) => button(emoji, `React with ${emoji}`, () => react(emoji))),
    button("↩", "Reply", () => aboutMessage({ kind: "reply", message })),
    mine ? button("✎", "Edit", () => aboutMessage({ kind: "edit", message })) : null,
    mine ? button("🗑", "Delete", () => act("delete", { message_id: message.id })) : null);
}

function aboutMessage(about) {
  at.about = about;
  here("about").hidden = !about;
  if (!about) return;
  here("about").firstElementChild.textContent = `${about.kind === "edit" ? "Edit" : "Reply to"}: ${about.message.text || "a file"}`;
  if (about.kind === "edit") here("text").value = about.message.text;
  here("text").focus();
  grow();
}

async function send() {
  const text = here("text").value.trim();
  if (!text) return;
  const about = at.about;
  here("text").value = "";
  aboutMessage(null);
  grow();
  const slash = at.world.platform !== "telegram" && /^\/(\S+)\s*([\s\S]*)$/.exec(text);
  if (about && about.kind === "edit") await act("edit", { message_id: about.message.id, text });
  else if (slash) await act("command", { name: slash[1], text: slash[2] });
  else await act("type", { text, ...(about ? { reply_to: about.message.id } : {}) });
}

async function sendFiles(files) {
  for (const file of files) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    let binary = "";
    for (let start = 0; start < bytes.length; start += 8192) binary += String.fromCharCode(...bytes.subarray(start, start + 8192));
    const kind = file.type.startsWith("image/") ? "photo" : "document";
    const caption = here("text").value.trim();
    here("text").value = "";
    await act("upload", { name: file.name, content: btoa(binary), kind, media_type: file.type, ...(caption ? { caption } : {}) });
  }
}

function grow() {
  const text = here("text");
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
  showCommands(text.value);
}

function showCommands(typed) {
  const known = at.world ? at.world.commands || [] : [];
  const all = Array.isArray(known) ? known : Object.values(known).flat();
  const names = new Map(all.map((each) => [each.command || each.name, each.description || ""]));
  const fitting = /^\/\S*$/.test(typed) ? [...names].filter(([name]) => String(name).replace(/^\//, "").startsWith(typed.slice(1))) : [];
  here("commands").hidden = !fitting.length;
  here("commands").replaceChildren(...fitting.map(([name, description]) => {
    const choose = () => { here("text").value = `/${String(name).replace(/^\//, "")} `; here("text").focus(); grow(); };
    return element("li", {}, element("button", { type: "button", onclick: choose }, `/${String(name).replace(/^\//, "")}`, element("span", {}, description)));
  }));
}

function away() {
  here("state").textContent = "the twin is away; trying again";
}

async function watch() {
  let last = (await ask("log")).events.at(-1)?.number || 0;
  const wanted = Boolean(location.hash);
  await readWorld();
  await moved(wanted);
  here("state").textContent = "connected";
  for (;;) {
    try {
      const { events } = await ask(`log?after=${last}&wait_s=25`);
      here("state").textContent = "connected";
      if (!events.length) continue;
      last = events.at(-1).number;
      await refresh();
    } catch {
      away();
      await new Promise((done) => setTimeout(done, LOOK_AGAIN_MS));
      last = 0;
    }
  }
}

here("messages").addEventListener("load", stayAtEnd, true);
here("messages").addEventListener("scroll", () => {
  const { scrollHeight, scrollTop, clientHeight } = here("messages");
  at.isAtEnd = scrollHeight - scrollTop - clientHeight < 80;
});
here("person").addEventListener("change", (event) => { at.person = at.world.people.find((each) => same(each.id, event.target.value)).id; at.chat = null; at.thread = ""; readWorld().then(() => moved(false)).catch(tell); });
here("composer").addEventListener("submit", (event) => { event.preventDefault(); send(); });
here("text").addEventListener("input", grow);
here("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
  if (event.key === "Escape") { here("text").value = at.about?.kind === "edit" ? "" : here("text").value; aboutMessage(null); }
});
here("about").lastElementChild.addEventListener("click", () => { if (at.about?.kind === "edit") here("text").value = ""; aboutMessage(null); });
here("back").addEventListener("click", () => document.body.classList.remove("in-chat"));
document.querySelector("#attach input").addEventListener("change", (event) => { sendFiles([...event.target.files]); event.target.value = ""; });
watch().catch(tell);
