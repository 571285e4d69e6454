"""What is run in pages, to read them and to find what to press. Pure.

It runs in a world of its own: it sees the page's document, and the page sees nothing of it, neither its variables nor
its built-in functions. What a document can put in their way is names of its own (`<input name="childNodes">` in a
form), so properties are read through the prototypes. What comes back is taken apart by `page.py`.
"""

from __future__ import annotations

WORLD = "nightyard"

READ = r"""
function (limits) {
  "use strict";
  const getter = (type, name) => {
    const get = Object.getOwnPropertyDescriptor(type.prototype, name).get;
    return (one) => get.call(one);
  };
  const firstChild = getter(Node, "firstChild"), nextSibling = getter(Node, "nextSibling");
  const typeOf = getter(Node, "nodeType"), textOf = getter(Node, "textContent");
  const isConnected = getter(Node, "isConnected"), parentOf = getter(Node, "parentElement");
  const nameOf = getter(Element, "localName"), shadowOf = getter(Element, "shadowRoot");
  const isEditable = getter(HTMLElement, "isContentEditable");
  const attribute = (one, name) => Element.prototype.getAttribute.call(one, name) ?? "";
  const has = (one, name) => Element.prototype.hasAttribute.call(one, name);
  const byId = (id) => Document.prototype.getElementById.call(document, id);
  const squeeze = (words, most) => words.slice(0, 4 * most).replace(/\s+/g, " ").trim().slice(0, most);

  const memory = (globalThis.nightyard ??= { numbers: new WeakMap(), elements: new Map(), frames: [] });
  for (const [number, one] of memory.elements) if (!isConnected(one)) memory.elements.delete(number);
  memory.frames = [];
  const until = performance.now() + limits.ms;
  const out = [];
  let next = limits.next, chars = 0, isCut = false;

  const isFull = () =>
    (isCut ||= chars > limits.chars || out.length > limits.marks || performance.now() > until);
  const put = (mark) => { out.push(mark); chars += typeof mark === "string" ? mark.length : 8; };
  const refer = (one) => {
    let number = memory.numbers.get(one);
    if (number === undefined) memory.numbers.set(one, (number = next++));
    memory.elements.set(number, one);
    return number;
  };

  const SILENT = new Set(["script", "style", "noscript", "template", "head", "svg", "canvas", "audio", "video",
    "object", "embed", "datalist", "map", "math"]);
  const PRESSED = new Set(["button", "submit", "reset", "image"]);
  const TICKED = new Set(["checkbox", "radio"]);
  const ROLES = { button: "button", link: "link", checkbox: "checkbox", radio: "radio", tab: "tab", menuitem: "button",
    menuitemcheckbox: "checkbox", menuitemradio: "radio", option: "option", switch: "checkbox", combobox: "field",
    textbox: "field", searchbox: "field", spinbutton: "field", slider: "field", treeitem: "button" };

  const kindOf = (one, name, style, wasPointer) => {
    if (name === "a" && has(one, "href")) return "link";
    if (name === "button" || name === "summary") return "button";
    if (name === "select") return "choice";
    if (name === "textarea") return "field";
    if (name === "input") {
      const type = one.type;
      if (type === "hidden") return "";
      return PRESSED.has(type) ? "button" : TICKED.has(type) ? type : type === "file" ? "file" : "field";
    }
    if (one instanceof HTMLElement && isEditable(one)) {
      const parent = parentOf(one);
      if (!(parent instanceof HTMLElement) || !isEditable(parent)) return "field";
    }
    const role = ROLES[attribute(one, "role").trim().toLowerCase()];
    if (role) return role;
    if (has(one, "onclick") || (style.cursor === "pointer" && !wasPointer && name !== "label")) return "button";
    return "";
  };
  const nameFor = (one, name) => {
    const said = attribute(one, "aria-label").trim();
    if (said) return squeeze(said, 100);
    const by = attribute(one, "aria-labelledby").split(/\s+/).slice(0, 3).map((id) => id && byId(id)).filter(Boolean);
    if (by.length) return squeeze(by.map(textOf).join(" "), 100);
    if (name === "input" || name === "textarea" || name === "select") {
      const label = one.labels?.[0];
      if (label) return squeeze(textOf(label), 100);
      if (name === "input" && PRESSED.has(one.type))
        return squeeze(one.value || attribute(one, "alt") || one.type, 100);
    }
    for (const key of ["placeholder", "title", "alt", "name"]) {
      const words = squeeze(attribute(one, key), 100);
      if (words) return words;
    }
    return "";
  };
  const stateOf = (one, name, kind) => {
    if (kind === "checkbox" || kind === "radio") {
      const isOn = name === "input" ? one.checked : attribute(one, "aria-checked") === "true";
      return isOn ? "on" : "off";
    }
    if (kind === "choice") {
      const options = [...one.options].slice(0, 400);
      const chosen = options.filter((option) => option.selected).map((option) => squeeze(option.label, 60));
      const shown = options.slice(0, limits.options).map((option) => squeeze(option.label, 60));
      return [chosen.slice(0, 5).join(", "), shown, one.options.length];
    }
    if (kind !== "field") return "";
    if (name === "input" && one.type === "password") return one.value ? "•••" : "";
    if (name === "input" || name === "textarea") return squeeze(one.value, 200);
    return squeeze(textOf(one), 200);
  };

  const children = (one, state) => {
    if (state.depth > 400) return;
    const name = nameOf(one);
    if (name === "slot") {
      const given = one.assignedNodes();
      if (given.length) { for (const child of given) visit(child, state); return; }
    }
    const inside = shadowOf(one) ?? one;
    for (let child = firstChild(inside); child && !isFull(); child = nextSibling(child)) visit(child, state);
  };
  const visit = (node, state) => {
    if (isFull()) return;
    const type = typeOf(node);
    if (type === 3) {
      if (!state.isShown) return;
      const data = textOf(node);
      const words = state.isRaw ? data.slice(0, limits.chars) : data.slice(0, limits.chars).replace(/\s+/g, " ");
      if (words && (words !== " " || out.length)) put(words);
      return;
    }
    if (type !== 1) return;
    const name = nameOf(node);
    if (SILENT.has(name)) return;
    const style = getComputedStyle(node);
    if (style.display === "none") return;
    const isShown = style.visibility === "visible";
    if (name === "br") { put(["br"]); return; }
    if (name === "img") {
      const words = squeeze(attribute(node, "alt"), 200);
      if (words && isShown) put(["image", words]);
      return;
    }
    if (name === "iframe" || name === "frame") {
      const box = node.getBoundingClientRect();
      if (isShown && box.width >= 20 && box.height >= 20)
        put(["frame", memory.frames.push(node) - 1]);
      return;
    }
    const display = style.display;
    const isBlock = !display.startsWith("inline") && display !== "contents" && display !== "table-cell";
    const inner = { depth: state.depth + 1, isShown, isRaw: style.whiteSpace.startsWith("pre"),
      isPointer: style.cursor === "pointer", isInside: state.isInside };
    const heading = /^h[1-6]$/.test(name) ? Number(name[1]) : 0;
    if (heading) put(["heading", heading]);
    else if (name === "li") put(["item"]);
    else if (display === "table-cell") put(["cell"]);
    else if (isBlock) put(["block"]);
    const kind = isShown || name === "input" ? kindOf(node, name, style, state.isPointer) : "";
    if (!kind || (state.isInside && kind === "button" && name !== "button" && name !== "input")) children(node, inner);
    else {
      const isOff = node.disabled === true || attribute(node, "aria-disabled") === "true";
      const isWhole = kind === "field" || kind === "choice" || name === "input";
      const leadsTo = kind === "link" && name === "a" ? String(node.href).slice(0, 2000) : "";
      put(["open", isOff ? 0 : refer(node), kind, nameFor(node, name), leadsTo, stateOf(node, name, kind)]);
      if (!isWhole) { inner.isInside = true; children(node, inner); }
      put(["close"]);
    }
    if (isBlock || heading) put(["block"]);
  };

  const root = getter(Document, "documentElement")(document);
  if (root) visit(root, { depth: 0, isShown: true, isRaw: false, isPointer: false, isInside: false });
  const scroller = getter(Document, "scrollingElement")(document) ?? root;
  return JSON.stringify({
    title: squeeze(getter(Document, "title")(document), 300),
    address: String(location.href).slice(0, 2000),
    status: performance.getEntriesByType("navigation")[0]?.responseStatus ?? 0,
    marks: out, next, isCut, frames: memory.frames.length,
    above: Math.round(scrollY), shown: innerHeight, height: scroller ? scroller.scrollHeight : 0,
  });
}
"""

ELEMENT = "function (number) { return globalThis.nightyard?.elements.get(number) ?? null; }"
FRAME = "function (index) { return globalThis.nightyard?.frames[index] ?? null; }"

LOOK = r"""
function () {
  "use strict";
  const describe = (one) => {
    const words = (one.innerText ?? "").replace(/\s+/g, " ").trim().slice(0, 60);
    return `<${one.localName}>` + (words ? ` “${words}”` : "");
  };
  const answer = { tag: this.localName, type: this.type ?? "", isHidden: false, cover: "" };
  const box = [...this.getClientRects()].find((each) => each.width >= 1 && each.height >= 1);
  if (!box) { answer.isHidden = true; return answer; }
  const x = box.left + box.width / 2, y = box.top + box.height / 2;
  const root = this.getRootNode();
  let hit = root.elementFromPoint ? root.elementFromPoint(x, y) : document.elementFromPoint(x, y);
  while (hit && hit.shadowRoot && hit !== this && !hit.contains(this)) {
    const deeper = hit.shadowRoot.elementFromPoint(x, y);
    if (!deeper || deeper === hit) break;
    hit = deeper;
  }
  if (!hit || hit === this || this.contains(hit) || hit.contains(this)) return answer;
  const label = hit.closest("label");
  if (label && (label.control === this || label.contains(this))) return answer;
  answer.cover = describe(hit);
  return answer;
}
"""
"""Says what an element is, and what lies over the place where it would be pressed."""

PRESS = "function () { HTMLElement.prototype.click.call(this); }"
"""For what has no place of its own, such as a box behind a drawn one."""

PREPARE = r"""
function (words) {
  "use strict";
  const say = () => {
    for (const kind of ["input", "change"]) this.dispatchEvent(new Event(kind, { bubbles: true, composed: true }));
  };
  const name = this.localName;
  if (this.disabled) return { problem: "it is disabled" };
  if (this.readOnly) return { problem: "it is read-only" };
  if (name === "select") {
    const wanted = words.trim().toLowerCase();
    const options = [...this.options];
    const found = options.find((one) => one.label.trim().toLowerCase() === wanted)
      ?? options.find((one) => one.value.toLowerCase() === wanted)
      ?? options.find((one) => wanted && one.label.toLowerCase().includes(wanted));
    if (!found) return { problem: "it has no such choice; there are: "
      + options.slice(0, 40).map((one) => one.label.trim().slice(0, 60)).join(" | ") };
    if (!this.multiple) for (const one of options) one.selected = false;
    found.selected = true;
    say();
    return { done: true };
  }
  if (name === "input" && ["checkbox", "radio", "button", "submit", "reset", "image"].includes(this.type))
    return { problem: "nothing can be typed there; click it" };
  if (name === "input" && this.type === "file") return { file: true, many: this.multiple };
  if (name === "input" && ["date", "time", "month", "week", "datetime-local", "color", "range"].includes(this.type)) {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(this, words);
    say();
    return this.value ? { done: true } : { problem: `it takes no such ${this.type}` };
  }
  HTMLElement.prototype.focus.call(this);
  if (name === "input" || name === "textarea") this.select();
  else if (this.isContentEditable) getSelection().selectAllChildren(this);
  else {
    const inside = document.activeElement;
    if (!inside || !this.contains(inside) || inside === document.body) return { problem: "nothing can be typed there" };
  }
  return { ready: true };
}
"""
"""Sets what cannot be typed, and has the rest ready to be typed over."""

REST = r"""
function (calm, most) {
  return new Promise((done) => {
    let timer = setTimeout(done, calm);
    const watch = new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, calm); });
    watch.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    setTimeout(() => { watch.disconnect(); done(); }, most);
  });
}
"""
"""Waits until the document has not changed for a moment."""
