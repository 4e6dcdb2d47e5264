// Which alerts are shown: kept in the address, so that it can be sent to others and "back" works.

import { badge, byId, el, logText, replace } from "./dom.js";

const FIELDS = ["words", "level", "acknowledged", "host", "technique"];
const CHIPS = { rule: "rule", tactic: "tactic", source: "source" };
const NAMES = [...FIELDS, ...Object.keys(CHIPS)];
const TYPING_MS = 250;

let current = {};
let titles = new Map();
let changed = () => {};

/** What is asked of the server. */
export const filter = () => ({ ...current });

export const isFiltered = () => Object.keys(current).length > 0;

/** Tell `call` whenever the filter changes. */
export function onChange(call) {
  changed = call;
}

/** The view and filter of an address's hash. */
export function readHash() {
  const [view, query] = location.hash.slice(1).split("?");
  const given = new URLSearchParams(query ?? "");
  const wanted = {};
  for (const name of NAMES) if (given.get(name)) wanted[name] = given.get(name).slice(0, 300);
  return [view || "alerts", wanted];
}

/** The hash of the alerts that `wanted` admits. */
export function hashOf(wanted) {
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
  return query.size ? `alerts?${query}` : "alerts";
}

/** Take over the filter of an address. */
export function apply(wanted) {
  const isSame = JSON.stringify(Object.entries(wanted).sort()) === JSON.stringify(Object.entries(current).sort());
  current = wanted;
  for (const name of FIELDS) {
    const field = byId(name);
    if (field.value.trim() !== (wanted[name] ?? "")) field.value = wanted[name] ?? "";
  }
  showChips();
  if (!isSame) changed();
}

/** Names of rules for their chips, and what there is to choose from. */
export function offer(overview) {
  titles = new Map(overview.rules.map((row) => [row.rule, row]));
  replace(byId("hosts"), overview.hosts.slice(0, 100).map((row) => el("option", { value: row.host })));
  const techniques = new Set(overview.attack.flatMap((row) => row.techniques.map((cell) => cell.technique)));
  replace(byId("techniques"), [...techniques].sort().map((name) => el("option", { value: name })));
  showChips();
}

function showChips() {
  const shown = Object.keys(CHIPS).filter((name) => current[name]).map((name) => {
    const row = name === "rule" ? titles.get(current.rule) : undefined;
    const label = row?.title ?? current[name];
    return el("button", { type: "button", class: "chip", "aria-label": `Remove the filter ${CHIPS[name]}: ${label}`, onclick: () => set({ [name]: "" }) },
      `${CHIPS[name]}: `, row ? [badge(row.level), " "] : null, logText(label), el("span", { "aria-hidden": "true" }, " ×"));
  });
  if (isFiltered()) shown.push(el("button", { type: "button", class: "chip", onclick: () => { location.hash = "alerts"; } }, "Clear filter"));
  const box = byId("chips");
  const key = JSON.stringify([current, shown.map((node) => node.textContent)]);
  if (box.dataset.key === key) return; // the focus may be on one of them
  box.dataset.key = key;
  replace(box, shown);
}

/** Change parts of the filter. */
export function set(parts) {
  location.hash = hashOf({ ...current, ...parts });
}

/** Take what is typed; "back" leads to what was before all of it. */
function take() {
  const typed = Object.fromEntries(FIELDS.map((name) => [name, byId(name).value.trim()]));
  location.replace(`#${hashOf({ ...current, ...typed })}`);
}

export function begin() {
  const form = byId("filter");
  let timer = 0;
  form.addEventListener("submit", (submitted) => { submitted.preventDefault(); take(); });
  form.addEventListener("input", (typed) => {
    clearTimeout(timer);
    timer = setTimeout(take, typed.target instanceof HTMLSelectElement ? 0 : TYPING_MS);
  });
}
