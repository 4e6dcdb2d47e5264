// One value of an event: what matched is marked, long ones are cut and opened piece by piece, so that the page stays quick.

import { button, el, escaped } from "./dom.js";
import { count, counted } from "./text.js";

const LONGEST = 600, HEAD = 200, AROUND = 80, MOST_WINDOWS = 8;
const PIECE = 20000;

/** Places in a text as JavaScript counts (UTF-16), of places in characters. */
function converted(text, places) {
  if (!/[\ud800-\udbff]/.test(text)) return places;
  const wanted = [...new Set(places)].sort((a, b) => a - b);
  const found = new Map();
  let characters = 0, units = 0, next = 0;
  for (const character of text) {
    while (next < wanted.length && wanted[next] === characters) found.set(wanted[next++], units);
    if (next === wanted.length) break;
    characters += 1;
    units += character.length;
  }
  return places.map((place) => found.get(place) ?? units);
}

/** The spans of `found` entries (an alert's matched[].found[]) within a value's whole text, merged. */
export function spansOf(text, found) {
  const spans = [];
  for (const one of found) {
    if (typeof one.value !== "string" || !one.spans.length) continue;
    const [offset] = converted(text, [one.offset ?? 0]);
    if (!text.startsWith(one.value, offset)) continue; // written differently in the event: no place to mark
    const places = converted(one.value, one.spans.flat());
    for (let at = 0; at < places.length; at += 2) spans.push([offset + places[at], offset + places[at + 1]]);
  }
  spans.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const merged = [];
  for (const [begin, end] of spans) {
    if (merged.length && begin <= merged.at(-1)[1]) merged.at(-1)[1] = Math.max(end, merged.at(-1)[1]);
    else merged.push([begin, end]);
  }
  return merged;
}

/** Nodes of `text` between two places, with marks. */
function marked(text, spans, begin, end) {
  const nodes = [];
  let place = begin;
  for (const [from, to] of spans) {
    if (to <= place || from >= end) continue;
    const start = Math.max(from, place), stop = Math.min(to, end);
    nodes.push(escaped(text.slice(place, start), true), el("mark", {}, escaped(text.slice(start, stop), true)));
    place = stop;
  }
  nodes.push(escaped(text.slice(place, end), true));
  return nodes;
}

/** Never between the halves of a character. */
function whole(text, place) {
  return place > 0 && place < text.length && /[\udc00-\udfff]/.test(text[place]) ? place - 1 : place;
}

function windows(text, spans) {
  const wanted = [[0, HEAD]];
  for (const [begin, end] of spans.slice(0, MOST_WINDOWS)) {
    wanted.push([Math.max(0, begin - AROUND), Math.min(text.length, Math.min(end, begin + LONGEST) + AROUND)]);
  }
  wanted.sort((a, b) => a[0] - b[0]);
  const merged = [];
  for (const [begin, end] of wanted) {
    if (merged.length && begin <= merged.at(-1)[1]) merged.at(-1)[1] = Math.max(end, merged.at(-1)[1]);
    else merged.push([whole(text, begin), end]);
  }
  return merged.map(([begin, end]) => [begin, whole(text, end)]);
}

/** A text of any length, `name` says of what. */
export function valueNode(text, spans, name) {
  if (text.length <= LONGEST) return el("bdi", { dir: "ltr", class: "log" }, marked(text, spans, 0, text.length));
  const parts = [];
  let place = 0;
  for (const [begin, end] of windows(text, spans)) {
    if (begin > place) parts.push(gap(begin - place));
    parts.push(...marked(text, spans, begin, end));
    place = end;
  }
  if (place < text.length) parts.push(gap(text.length - place));
  const box = el("div", { class: "long" }, el("bdi", { dir: "ltr", class: "log" }, parts));
  const open = button(`Show all ${counted(text.length, "character")}`, () => {
    const opened = pieceByPiece(text, name, (begin, end) => marked(text, spans, begin, end));
    box.replaceChildren(opened);
    opened.focus();
  });
  box.append(open);
  return box;
}

/** A box that shows a long text's beginning, and more of it when asked. */
export function pieceByPiece(text, name, draw = (begin, end) => escaped(text.slice(begin, end), true)) {
  const box = el("div", { class: "pieces", tabindex: "0", role: "region", "aria-label": `${name}, ${counted(text.length, "character")}` });
  let place = 0;
  const more = button("", () => add());
  const add = () => {
    const end = whole(text, Math.min(text.length, place + PIECE));
    const piece = el("bdi", { dir: "ltr", class: "log piece" }, draw(place, end));
    place = end;
    more.before(piece);
    more.textContent = `Show ${count(Math.min(PIECE, text.length - place))} more; ${count(text.length - place)} are left`;
    if (place === text.length) {
      if (document.activeElement === more) box.focus();
      more.remove();
    }
  };
  box.append(more);
  add();
  return box;
}

function gap(characters) {
  return el("span", { class: "gap" }, ` … ${counted(characters, "character")} … `);
}
