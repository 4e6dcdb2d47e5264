// The list: newest first; new ones come on top, or wait behind a button while somebody reads further down or aims at a row.

import { ApiError, get, send } from "./api.js";
import * as detail from "./detail.js";
import { badge, byId, el, logText, replace } from "./dom.js";
import * as filters from "./filters.js";
import { count, counted, moment } from "./text.js";

const PAGE = 50, MOST_ROWS = 500, MOST_NEW = 200;
const ANNOUNCE_MS = 5000, AIMING_MS = 2000;
const LEVELS = ["none", "informational", "low", "medium", "high", "critical"];

let instance = null, newest = 0, revision = 0, seenTo = 0; // of the server; what the list shows goes to seenTo
let next = null, matching = null;
let waiting = []; // new alerts that are not shown yet
let missed = false; // more came than one reply holds
let aimed = 0; // when the pointer last moved over the list
let loading = null;
let rows = new Map(); // number -> tr
let announced = { at: 0, count: 0, level: "none", timer: 0 };

/** Note when somebody aims at a row. */
export function begin() {
  byId("rows").addEventListener("pointermove", () => { aimed = Date.now(); });
}

/** Load the list anew. */
export async function load() {
  loading?.abort();
  const mine = loading = new AbortController();
  byId("alerts").setAttribute("aria-busy", "true");
  waiting = [];
  missed = false;
  const entries = [];
  let before = null;
  try {
    do {
      const reply = await get("/api/alerts", { ...filters.filter(), limit: PAGE - entries.length, before }, mine.signal);
      if (mine.signal.aborted) return;
      if (before === null) ({ instance, newest, revision } = reply);
      entries.push(...reply.alerts);
      ({ next, matching } = reply);
      before = next;
      seenTo = newest;
      show(entries);
      if (next !== null && entries.length < PAGE) byId("shown").textContent = `${counted(entries.length, "alert")} so far; searching older ones …`;
    } while (before !== null && entries.length < PAGE);
    tellShown();
  } catch (error) {
    if (error.name !== "AbortError") {
      if (error instanceof ApiError && error.status === 422) byId("shown").textContent = `This filter cannot be used: ${error.message}`;
      else throw error;
    }
  } finally {
    if (loading === mine) {
      loading = null;
      byId("alerts").removeAttribute("aria-busy");
    }
  }
}

/** Ask what is new. */
export async function poll() {
  if (loading) return;
  const asked = filters.filter();
  const reply = await get("/api/alerts", { ...asked, after: newest, revision, limit: MOST_NEW });
  if (loading || JSON.stringify(asked) !== JSON.stringify(filters.filter())) return;
  if (reply.instance !== instance || reply.reload || reply.newest < newest) {
    await load();
    return;
  }
  ({ newest, revision } = reply);
  for (const one of reply.acknowledged) takeAcknowledged(one);
  if (reply.alerts.length || reply.more) take(reply.alerts, reply.more);
}

function take(entries, more) {
  missed ||= more;
  waiting = [...entries, ...waiting];
  if (waiting.length > MOST_NEW) missed = true;
  waiting.length = Math.min(waiting.length, MOST_NEW);
  if (matching !== null) matching += entries.length;
  announce(entries);
  const isReading = window.scrollY > byId("filter").offsetTop + 40 || byId("rows").contains(document.activeElement);
  if (isReading || Date.now() - aimed < AIMING_MS) tellFresh();
  else showFresh();
}

/** Put the alerts that wait on top of the list. */
export function showFresh() {
  if (missed) {
    load();
  } else if (waiting.length) {
    const body = byId("rows");
    body.prepend(...waiting.filter((entry) => !rows.has(entry.number)).map((entry) => {
      const row = rowOf(entry);
      row.classList.add("new");
      return row;
    }));
    waiting = [];
    seenTo = newest;
    while (body.children.length > MOST_ROWS) {
      const last = body.lastElementChild;
      rows.delete(Number(last.dataset.number));
      last.remove();
      next = Number(body.lastElementChild.dataset.number);
    }
    tellShown();
  }
  tellFresh();
}

function tellFresh() {
  const fresh = byId("fresh");
  const had = document.activeElement === fresh;
  fresh.hidden = !waiting.length && !missed;
  fresh.textContent = missed ? "Many new alerts: show the newest" : `Show ${counted(waiting.length, "new alert")}`;
  if (had && fresh.hidden) focusRow(0);
}

/** Say for those who do not see it what has come, not more often than every few seconds. */
function announce(entries) {
  announced.count += entries.length;
  for (const entry of entries) if (LEVELS.indexOf(entry.level) > LEVELS.indexOf(announced.level)) announced.level = entry.level;
  if (announced.timer || !announced.count) return;
  announced.timer = setTimeout(() => {
    const level = announced.level === "none" ? "" : `, the highest ${announced.level}`;
    byId("announced").textContent = `${counted(announced.count, "new alert")}${level}`;
    announced = { at: Date.now(), count: 0, level: "none", timer: 0 };
  }, Math.max(0, announced.at + ANNOUNCE_MS - Date.now()));
}

function show(entries) {
  rows = new Map();
  const open = detail.openId();
  replace(byId("rows"), entries.map(rowOf));
  if (open) markOpen(open);
  tellShown();
  tellFresh();
}

function tellShown() {
  const body = byId("rows");
  const shown = body.children.length;
  const of = matching !== null && matching > shown ? ` of ${count(matching)}` : "";
  byId("shown").textContent = `${count(shown)}${of} ${(of ? matching : shown) === 1 ? "alert" : "alerts"}${filters.isFiltered() ? " with this filter" : " kept"}`;
  byId("older").hidden = next === null;
  byId("acknowledge-all").hidden = shown === 0;
  byId("none").hidden = shown > 0 || next !== null;
  byId("none").textContent = filters.isFiltered() ? "No kept alert fits this filter." : "No alerts are kept. New ones appear here by themselves.";
}

/** Load what is older than the last row. */
export async function older() {
  const button = byId("older");
  button.disabled = true;
  try {
    let wanted = PAGE;
    const before = byId("rows").children.length;
    while (next !== null && wanted > 0) {
      const reply = await get("/api/alerts", { ...filters.filter(), limit: wanted, before: next });
      next = reply.next;
      wanted -= reply.alerts.length;
      byId("rows").append(...reply.alerts.filter((entry) => !rows.has(entry.number)).map(rowOf));
    }
    tellShown();
    focusRow(before);
  } finally {
    button.disabled = false;
  }
}

function rowOf(entry) {
  const cut = entry.length > entry.line.length ? el("span", { class: "gap" }, ` … ${counted(entry.length, "character")}`) : null;
  const open = el("button", { type: "button", class: "open", "data-id": entry.id, onclick: (clicked) => openRow(clicked.currentTarget) }, logText(entry.title));
  const row = el("tr", { role: "row", "data-number": entry.number, "data-id": entry.id, class: `level-${LEVELS.includes(entry.level) ? entry.level : "none"}` },
    el("td", { role: "cell", class: "c-time" }, time(entry)),
    el("td", { role: "cell", class: "c-level" }, badge(entry.level)),
    el("td", { role: "cell", class: "c-what" }, open,
      entry.suppressed ? el("span", { class: "note" }, ` +${count(entry.suppressed)} held back`) : null,
      el("div", { class: "line" }, logText(entry.line), cut)),
    el("td", { role: "cell", class: "c-host" }, logText(entry.host)),
    el("td", { role: "cell", class: "c-state" }, stateOf(entry.acknowledged, entry.by)));
  row.addEventListener("click", (clicked) => {
    if (!clicked.target.closest("button, a") && getSelection().isCollapsed) openRow(open);
  });
  if (entry.acknowledged) row.classList.add("acknowledged");
  rows.set(entry.number, row);
  return row;
}

function time(entry) {
  const text = entry.event_time ?? entry.detected;
  return el("time", { datetime: text, title: entry.event_time ? null : "When it was detected; the event does not tell its time." },
    el("span", {}, moment(text).slice(0, 10), " "), el("span", {}, moment(text).slice(11)), entry.event_time ? null : el("span", { class: "note" }, " detected"));
}

function stateOf(at, by) {
  return at ? el("span", { class: "done" }, "✓ ", logText(by ?? "")) : el("span", { class: "gap" }, el("span", { "aria-hidden": "true" }, "–"), el("span", { class: "only-read" }, "no"));
}

function takeAcknowledged(one) {
  detail.tellAcknowledged(one.id, one.acknowledged, one.by);
  const row = rows.get(one.number);
  if (!row) return;
  row.classList.add("acknowledged");
  replace(row.querySelector(".c-state"), stateOf(one.acknowledged, one.by));
}

async function openRow(button) {
  markOpen(button.dataset.id);
  await detail.open(button.dataset.id, button);
}

function markOpen(id) {
  for (const row of byId("rows").children) {
    row.classList.toggle("opened", row.dataset.id === id);
  }
}

export function markClosed() {
  markOpen(null);
}

const buttons = () => Array.from(byId("rows").querySelectorAll("button.open"));

function focusRow(place) {
  const all = buttons();
  if (all.length) all[Math.max(0, Math.min(place, all.length - 1))].focus();
}

/** Move the focus among the alerts; with an alert open, open the next one. */
export function move(step) {
  const all = buttons();
  const isOpen = detail.openId() !== null;
  const at = isOpen ? all.findIndex((one) => one.dataset.id === detail.openId()) : all.indexOf(document.activeElement);
  const to = at === -1 ? 0 : Math.max(0, Math.min(at + step, all.length - 1));
  if (!all.length || to === at) return;
  if (isOpen) {
    all[to].scrollIntoView({ block: "nearest" });
    openRow(all[to]);
  } else {
    all[to].focus();
  }
}

/** The id of the alert that is open or has the focus. */
export function chosen() {
  return detail.openId() ?? document.activeElement?.closest?.("#rows tr")?.dataset.id ?? null;
}

/** Acknowledge one alert, or with null all that the filter admits. */
export async function acknowledge(id) {
  const by = await name(id === null ? `All alerts of this filter, ${matching === null ? "older ones that are not shown too" : count(matching)}, will be acknowledged.` : null);
  if (!by) return;
  const body = id === null ? { by, filter: filters.filter(), newest: seenTo } : { by, ids: [id] };
  try {
    const reply = await send("POST", "/api/acknowledgements", body);
    byId("announced").textContent = `${counted(reply.acknowledged, "alert")} acknowledged`;
    await poll();
  } catch (error) {
    byId("announced").textContent = "";
    byId("shown").textContent = `That could not be acknowledged: ${error.message}`;
  }
}

/** Ask for the name where it is not known, and whether `what` is meant. */
async function name(what) {
  const known = sessionStorage.getItem("name") ?? "";
  if (known && what === null) return known;
  const dialog = byId("ask");
  byId("ask-name").value = known;
  byId("ask-what").textContent = what ?? "";
  dialog.returnValue = "no";
  dialog.showModal();
  if (!known) byId("ask-name").focus();
  await new Promise((resolve) => { dialog.addEventListener("close", resolve, { once: true }); });
  const given = byId("ask-name").value.trim();
  if (dialog.returnValue !== "yes" || !given) return null;
  sessionStorage.setItem("name", given);
  return given;
}
