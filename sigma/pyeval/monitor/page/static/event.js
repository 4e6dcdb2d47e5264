// An event as a table of its fields, what matched marked; and where it was read.

import { Exact } from "./api.js";
import { button, el, escaped, logText } from "./dom.js";
import { spansOf, valueNode } from "./values.js";

const MOST_ROWS = 200;

/** Where an event was read: the source, and its place there. */
export function place(source) {
  const { name, type, ...rest } = source;
  const parts = Object.entries(rest).map(([key, value]) => [el("span", { class: "key" }, escaped(key), " "), logText(value instanceof Exact ? value.source : value), " "]);
  return [logText(name ?? ""), type && type !== name ? [" (", logText(type), ")"] : null, " ", parts];
}

/** The fields of an alert's event. */
export function eventTable(alert) {
  const found = new Map();
  for (const call of alert.matched ?? []) {
    for (const one of call.found) {
      const key = JSON.stringify(one.path.map(String));
      found.set(key, [...(found.get(key) ?? []), one]);
    }
  }
  const rows = leaves(alert.event ?? {});
  const isFound = ([path]) => found.has(JSON.stringify(path));
  // What matched is never among what is left out.
  const first = rows.length <= MOST_ROWS ? rows : [...rows.filter(isFound), ...rows.filter((row) => !isFound(row))].slice(0, MOST_ROWS);
  const bodyNode = el("tbody", { role: "rowgroup" }, first.map((row) => eventRow(row, found)));
  const table = el("table", { class: "event", role: "table", "aria-label": "Fields of the event; what matched is marked" },
    el("thead", { role: "rowgroup", class: "only-read" }, el("tr", { role: "row" },
      el("th", { scope: "col", role: "columnheader" }, "Field"), el("th", { scope: "col", role: "columnheader" }, "Value"))), bodyNode);
  if (first.length === rows.length) return table;
  let next = MOST_ROWS;
  const rest = rows.filter((row) => !first.includes(row));
  const more = button(`Show more fields; ${rest.length} are left`, () => {
    bodyNode.append(...rest.splice(0, MOST_ROWS).map((row) => eventRow(row, found)));
    next += MOST_ROWS;
    if (rest.length) more.textContent = `Show more fields; ${rest.length} are left`;
    else more.remove();
  });
  return [table, more];
}

function eventRow([path, value], found) {
  const hits = found.get(JSON.stringify(path)) ?? [];
  const name = path.join(".");
  const text = typeof value === "string" ? value : value instanceof Exact ? value.source : JSON.stringify(value);
  const spans = spansOf(text, hits);
  const isWhole = hits.length && !spans.length && typeof value !== "string";
  const content = value === null ? el("span", { class: "gap" }, "null")
    : text === "" ? el("span", { class: "gap" }, "empty") : valueNode(text, isWhole ? [[0, text.length]] : spans, name.slice(0, 100));
  return el("tr", { role: "row", class: hits.length ? "matched" : null },
    el("th", { scope: "row", role: "rowheader" }, logText(name.length > 200 ? `${name.slice(0, 200)}…` : name || "(no name)"),
      hits.length ? el("span", { class: "only-read" }, " (matched)") : null),
    el("td", { role: "cell" }, content));
}

/** [path, value] of everything in an event that is no object and no list with something in it; not by recursion: it may nest deeply. */
function leaves(event) {
  const found = [], waiting = [[[], event]];
  while (waiting.length) {
    const [path, value] = waiting.pop();
    const isObject = value !== null && typeof value === "object" && !(value instanceof Exact);
    const inner = isObject ? Object.entries(value) : [];
    if (isObject && inner.length) for (const [key, child] of inner.reverse()) waiting.push([[...path, key], child]);
    else if (path.length) found.push([path, value]);
  }
  return found;
}
