// One alert: what it is, why, its event with what matched marked, and what the rule says of itself.

import { Exact, get, text as getText } from "./api.js";
import { badge, button, byId, el, inside, link, logText, replace } from "./dom.js";
import { filter, hashOf } from "./filters.js";
import { counted, moment } from "./text.js";
import { correlated } from "./correlation.js";
import { eventTable, place } from "./event.js";
import { pieceByPiece } from "./values.js";

const WORDS = {
  startswith: "starts with", startswith_field: "starts with field", endswith: "ends with", endswith_field: "ends with field",
  regex: "fits", regex_within: "fits", regex_unbounded: "fits", wildcard: "fits", cidr: "is in", lt: "<", lte: "≤", gt: ">", gte: "≥",
  time_part: "has", keyword_whole: "keyword", keyword_wildcard: "keyword", keyword_regex: "keyword", keyword_regex_within: "keyword",
  keyword_regex_unbounded: "keyword",
};

let shown = null; // the reply that is shown
let opener = null; // where the focus was
let acknowledge = () => {};
let closed = () => {};

/** Tell how one alert is acknowledged, and what is to happen when the detail closes. */
export function begin(onAcknowledge, onClose) {
  acknowledge = onAcknowledge;
  closed = onClose;
}

export const openId = () => shown?.alert.id ?? null;

/** Show the alert with this id. */
export async function open(id, from) {
  opener = from ?? opener;
  const panel = byId("detail");
  panel.hidden = false;
  panel.setAttribute("aria-busy", "true");
  document.body.classList.add("with-detail");
  try {
    const reply = await get(`/api/alerts/${encodeURIComponent(id)}`);
    shown = reply;
    replace(panel, head(reply), body(reply));
  } catch (error) {
    shown = null;
    replace(panel, el("div", { class: "detail-head" }, el("h2", { id: "detail-title", tabindex: "-1" }, "This alert cannot be shown"),
      button("Close", close)), el("p", {}, logText(error.message)));
  }
  panel.removeAttribute("aria-busy");
  byId("detail-title").focus({ preventScroll: true });
  panel.scrollTop = 0;
}

export function close() {
  if (byId("detail").hidden) return;
  shown = null;
  byId("detail").hidden = true;
  document.body.classList.remove("with-detail");
  if (opener?.isConnected) opener.focus();
  else byId("content").focus({ preventScroll: true });
  closed();
}

/** Take over that the alert was acknowledged, here or in another page. */
export function tellAcknowledged(id, at, by) {
  if (shown?.alert.id !== id) return;
  shown.acknowledged = at;
  shown.by = by;
  const had = byId("detail-state").contains(document.activeElement);
  replace(byId("detail-state"), state(shown));
  if (had) byId("detail-title").focus({ preventScroll: true });
}

function head(reply) {
  const rule = reply.alert.rule ?? {};
  return el("div", { class: "detail-head" },
    el("h2", { id: "detail-title", tabindex: "-1" }, badge(rule.level ?? "none"), " ", logText(rule.title ?? "untitled rule")),
    el("button", { type: "button", class: "close", "aria-label": "Close this alert", onclick: close }, "Close"));
}

function body(reply) {
  const { alert } = reply;
  const rule = alert.rule ?? {};
  return [
    el("p", { id: "detail-state" }, state(reply)),
    facts([
      ["Host", alert.host && [logText(alert.host), " ", narrow("host", alert.host)]],
      ["Event time", alert.event_time ? `${moment(alert.event_time)} UTC` : "the event does not tell"],
      ["Detected", `${moment(alert.detected)} UTC`],
      ["Log source", Object.values(alert.logsource ?? {}).length && logText(Object.values(alert.logsource).join(" "))],
      ["Read from", place(alert.source ?? {})],
      ["Held back before", alert.suppressed && `${counted(Number(alert.suppressed), "alert")} like this, by suppression`],
    ]),
    el("h3", {}, "Why"), alert.correlation ? correlated(alert.correlation) : why(alert),
    el("h3", {}, "Event"), eventTable(alert),
    el("h3", {}, "Rule"),
    rule.description ? el("p", { class: "prose" }, logText(rule.description.replace(/\s+/g, " ").trim())) : null,
    facts([
      ["Id", rule.id && [logText(rule.id), " ", narrow("rule", rule.id)]],
      ["Status", rule.status && logText(rule.status)],
      ["ATT&CK", attack(alert.attack ?? {})],
      ["Tags", rule.tags?.length && logText(rule.tags.join(", "))],
      ["Harmless causes", rule.falsepositives?.length && rule.falsepositives.map((one) => el("div", {}, logText(one)))],
      ["References", rule.references?.length && rule.references.map((one) => el("div", {}, link(one)))],
      ["Author", rule.author && logText(rule.author)],
      ["Licence", rule.license && logText(rule.license)],
      ["Version", rule.source_hash && logText(rule.source_hash)],
    ]),
    el("h3", {}, "JSON"), raw(alert.id),
  ];
}

function state(reply) {
  if (reply.acknowledged) {
    return el("span", { class: "done" }, "✓ acknowledged by ", logText(reply.by ?? "somebody"), `, ${moment(reply.acknowledged)} UTC`);
  }
  return button("Acknowledge", () => acknowledge(reply.alert.id), { class: "main", "aria-keyshortcuts": "a" });
}

function facts(rows) {
  const given = rows.filter(([, value]) => value);
  return given.length ? el("dl", { class: "facts" }, given.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])) : null;
}

function narrow(name, value) {
  const anchor = inside(hashOf({ ...filter(), [name]: value }), `only this ${name}`);
  anchor.className = "narrow";
  return anchor;
}

function attack({ tactics = [], techniques = [], groups = [], software = [] }) {
  const urls = techniques.filter((one) => /^T\d{4}(\.\d{3})?$/.test(one));
  const names = [...tactics, ...groups, ...software];
  if (!names.length && !urls.length) return null;
  return [names.length ? [logText(names.join(", ")), urls.length ? "; " : ""] : null,
    urls.map((one, at) => {
      const anchor = link(`https://attack.mitre.org/techniques/${one.replace(".", "/")}/`);
      anchor.replaceChildren(one);
      return [at ? ", " : "", anchor];
    })];
}

function words(matcher) {
  const name = matcher.replace(/_(any|all)$/, "").replace(/_cased$/, "");
  return (WORDS[name] ?? name.replaceAll("_", " ")) + (matcher.endsWith("_all") ? " all of" : "");
}

function why(alert) {
  const calls = alert.matched ?? [];
  if (!calls.length) return el("p", { class: "note" }, "The rule holds by what the event does not have.");
  const items = calls.slice(0, 30).map((call) => el("li", {},
    call.field ? [el("code", {}, logText(call.field)), " "] : null, words(call.matcher), " ",
    call.values.slice(0, 6).map((value, at) => [at ? ", " : "", el("code", {}, logText(String(value instanceof Exact ? value.source : value).slice(0, 200)))]),
    call.values.length > 6 ? ` and ${call.values.length - 6} more` : null,
    call.found.length === 0 ? " (nothing there)" : null));
  return el("ul", { class: "why" }, items, calls.length > 30 ? el("li", {}, `and ${calls.length - 30} more`) : null);
}

function raw(id) {
  const said = el("span", { role: "status", class: "note" });
  const box = el("div");
  const fetched = () => getText(`/api/alerts/${encodeURIComponent(id)}/json`);
  const guarded = (work) => async () => {
    try {
      said.textContent = await work();
    } catch (error) {
      said.textContent = `That failed: ${error.message}`;
    }
  };
  const copy = button("Copy", guarded(async () => {
    const json = await fetched();
    if (navigator.clipboard) await navigator.clipboard.writeText(json);
    else copyFrom(json);
    return "Copied.";
  }));
  const show = button("Show", guarded(async () => {
    const json = await fetched();
    const opened = pieceByPiece(json, "The alert as JSON");
    replace(box, opened);
    opened.focus();
    return "";
  }));
  return el("div", { class: "buttons" }, copy, show, said, box);
}

/** Where the page is not served over TLS, browsers have no clipboard but this. */
function copyFrom(text) {
  const field = el("textarea", { class: "only-read", "aria-hidden": "true" });
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
