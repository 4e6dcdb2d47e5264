// How the parts of the service do: a strip at the top of every view, and tables.

import { byId, el, inside, logText, replace } from "./dom.js";
import { put } from "./tables.js";
import { count, counted, moment, short } from "./text.js";

export function strip(overview) {
  const { sources, sinks, spool, rules, exceptions } = overview.health;
  const away = sources.filter((one) => !one.connected && !one.ended);
  const failing = sinks.filter((one) => one.failing !== null);
  const share = spool.used_bytes / spool.most_bytes;
  const items = [
    item(away.length === 0, `${count(sources.length - away.length)} of ${counted(sources.length, "source")} connected`),
    item(failing.length === 0, failing.length ? `${counted(failing.length, "sink")} failing` : `${counted(sinks.length, "sink")} accepting`),
    item(share < 0.8, `spool ${Math.round(share * 100)} % full`),
    item(rules > 0, counted(rules, "rule")),
  ];
  if (exceptions.length) items.push(item(true, counted(exceptions.length, "exception")));
  const box = byId("strip");
  const key = items.map((one) => one.textContent).join();
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  replace(box, items);
}

function item(isGood, text) {
  return el("li", { class: isGood ? "good" : "bad" }, inside("health", el("span", { class: "shape", "aria-hidden": "true" }, isGood ? "✓" : "✗"), isGood ? null : el("span", { class: "only-read" }, "trouble: "), text));
}

export function show(overview) {
  const { sources, sinks, exceptions, spool, rules } = overview.health;
  put(byId("health"),
    el("p", { class: "note" }, `Version ${overview.version}, started ${moment(overview.started)} UTC. ${counted(rules, "rule")} run; ${short(spool.used_bytes, "bytes")} of ${short(spool.most_bytes, "bytes")} of the spool are in use.`),
    el("h3", {}, "Sources"),
    table("Sources", ["Name", "Type", "State", "Lag", "Events", "Problems", "Failures", "Lost"], sources.map((one) => [
      logText(one.name), one.type, mark(one.connected || one.ended, one.ended ? "ended" : one.connected ? "connected" : "not connected"),
      one.lag === null ? "–" : short(one.lag, one.lag_unit), count(one.events), count(one.problems), count(one.failures), count(one.dropped),
    ]), 3),
    el("h3", {}, "Sinks"),
    table("Sinks", ["Name", "Type", "State", "Waiting", "Sent", "Refused", "Given up"], sinks.map((one) => [
      logText(one.name), one.type, mark(one.failing === null, one.failing === null ? "accepting" : one.failing),
      count(one.waiting), count(one.sent), count(one.refused), count(one.discarded),
    ]), 3),
    exceptions.length ? [el("h3", {}, "Exceptions"),
      table("Exceptions", ["Name", "Last, UTC", "Matches kept back"], exceptions.map((one) => [logText(one.name), moment(one.last), count(one.hits)]), 2)] : null);
}

function mark(isGood, text) {
  return el("span", { class: isGood ? "good" : "bad" }, el("span", { class: "shape", "aria-hidden": "true" }, isGood ? "✓" : "✗"), " ", logText(text));
}

function table(label, titles, rows, numbersFrom) {
  const kind = (at) => (at >= numbersFrom ? "number" : null);
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, el("table", { "aria-label": label },
    el("thead", {}, el("tr", {}, titles.map((title, at) => el("th", { scope: "col", class: kind(at) }, title)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, at) => el(at === 0 ? "th" : "td", { class: kind(at), ...(at === 0 ? { scope: "row" } : {}) }, cell)))))));
}
