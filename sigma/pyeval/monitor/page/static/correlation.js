// What a correlation rule found: the window, the group, and the latest events that contributed.

import { Exact } from "./api.js";
import { el, logText } from "./dom.js";
import { eventTable, place } from "./event.js";
import { counted, moment } from "./text.js";

const plain = (value) => value instanceof Exact ? value.source : typeof value === "string" ? value : JSON.stringify(value);

export function correlated(found) {
  const { group = {}, events = [], value } = found;
  const count = Number(plain(found.count));
  const facts = [
    ["Window", `${moment(found.start)} to ${moment(found.end)} UTC`],
    ...Object.entries(group).map(([name, one]) => [["Group: ", logText(name)], logText(plain(one).slice(0, 500))]),
    ["Events", `${counted(count, "event")}${events.length < count ? `, the last ${events.length} of them below` : ""}`],
    value !== null && value !== undefined && plain(value) !== String(count) ? ["Value", logText(plain(value))] : null,
    found.arrival_time ? ["Time", "of some of them it is when they arrived"] : null,
  ].filter(Boolean);
  return [
    el("dl", { class: "facts" }, facts.map(([name, said]) => [el("dt", {}, name), el("dd", {}, said)])),
    el("ol", { class: "why" }, events.map(contributed)),
  ];
}

function contributed(one) {
  return el("li", {}, `${moment(one.time)} UTC `, logText((one.rules ?? []).join(", ")),
    one.source && [el("div", {}, place(one.source))],
    one.event ? el("details", {}, el("summary", {}, "Its event"), eventTable({ event: one.event })) : el("div", {}, "Its event is too long to be kept."));
}
