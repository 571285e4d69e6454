// Shows a Slack message's `rich_text` blocks, which are what its app shows; the text beside them is for notifications.
"use strict";

const STYLED = { bold: "strong", italic: "em", strike: "s", underline: "u", code: "code" };
const FRAMES = { rich_text_section: "div", rich_text_preformatted: "pre", rich_text_quote: "blockquote" };

// Returns the words of a message's blocks as elements; null where there are none, so that the text is to be shown.
function withBlocks(blocks) {
  const rich = (blocks || []).filter((block) => block.type === "rich_text");
  if (!rich.length) return null;
  const made = document.createDocumentFragment();
  made.append(...rich.flatMap((block) => block.elements.map(frameOf)));
  return made;
}

function frameOf(frame) {
  if (frame.type === "rich_text_list") {
    const items = frame.elements.map((item) => element("li", {}, ...item.elements.map(partOf)));
    return element(frame.style === "ordered" ? "ol" : "ul", frame.offset ? { start: frame.offset + 1 } : {}, ...items);
  }
  return element(FRAMES[frame.type] || "div", {}, ...(frame.elements || []).map(partOf));
}

function partOf(part) {
  const known = [at.world.bot, ...at.world.people, ...at.world.chats];
  const named = (id) => known.find((each) => each.id === id)?.name || id;
  const mention = (words) => element("span", { class: "mention" }, words);
  let made;
  if (part.type === "link") made = link(part.url, part.text || part.url);
  else if (part.type === "user") made = mention(`@${named(part.user_id)}`);
  else if (part.type === "channel") made = mention(named(part.channel_id));
  else if (part.type === "broadcast") made = mention(`@${part.range}`);
  else if (part.type === "emoji") made = part.unicode ? String.fromCodePoint(...part.unicode.split("-").map((code) => parseInt(code, 16))) : `:${part.name}:`;
  else made = part.text || "";
  for (const [style, is] of Object.entries(part.style || {})) if (is && STYLED[style]) made = element(STYLED[style], {}, made);
  return made;
}
