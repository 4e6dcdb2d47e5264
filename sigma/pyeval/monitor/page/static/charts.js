// Line plots: axes with units, lines told apart by dashes and names as well as by colour, readable by keyboard and as a table.

import { el, logText, svg } from "./dom.js";
import { clock, short } from "./text.js";

const WIDTH = 640, HEIGHT = 190, LEFT = 58, RIGHT = 10, TOP = 12, BOTTOM = 26;
const TIME_STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200];

/** Round numbers from 0 to at least `most`. */
function ticks(most) {
  if (!(most > 0)) return [0, 1];
  const rough = most / 4, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * size).find((one) => one >= rough);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, at) => at * step);
}

/**
 * A plot of `series` ([{name, values, kind}], a value or null for each of `times`, seconds since the epoch) from `from` to `to`.
 * `unit` stands at the axis and behind values.
 */
export function plot({ title, unit, times, series, from, to }) {
  const highest = Math.max(0, ...series.flatMap((one) => one.values.filter((value) => value !== null)));
  const marks = ticks(highest), top = marks.at(-1);
  const x = (time) => LEFT + (time - from) / (to - from) * (WIDTH - LEFT - RIGHT);
  const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, x1: -10, x2: -10 });
  const drawing = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", role: "img", tabindex: "0",
    "aria-label": `${title}, ${unit}. ${summary(series, unit)} Left and right arrow keys read single values.`,
  },
  marks.map((mark) => [
    svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(mark), y2: y(mark) }),
    svg("text", { class: "tick", x: LEFT - 6, y: y(mark) + 4, "text-anchor": "end" }, short(mark, unit === "bytes" ? "bytes" : "")),
  ]),
  timeMarks(from, to).map((time) => [
    svg("line", { class: "tickmark", x1: x(time), x2: x(time), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 }),
    svg("text", { class: "tick", x: x(time), y: HEIGHT - 8, "text-anchor": "middle" }, clock(time)),
  ]),
  svg("line", { class: "axis-line", x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
  series.map((one, at) => paths(one.values, times, x, y).map((d) => svg("path", { class: `line ${classOf(one, at)}`, d }))),
  cursor);
  const reading = el("output", { class: "reading", "aria-live": "polite" });
  readable(drawing, cursor, reading, { times, series, unit, x, from, to });
  return el("figure", {},
    el("figcaption", {}, el("strong", {}, title), ` ${unit}`),
    drawing, reading,
    el("ul", { class: "legend" }, series.map((one, at) => el("li", {},
      svg("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" }, svg("path", { class: `line ${classOf(one, at)}`, d: "M0 5H28" })),
      logText(one.name), el("span", { class: "note" }, ` ${latest(one.values, unit)}`)))),
    table(title, unit, times, series));
}

function classOf(one, at) {
  return one.kind === "alerts" && one.isLevel ? `level ${one.name.replace(/\W/g, "")}` : `series-${at % 8}`;
}

function timeMarks(from, to) {
  const step = TIME_STEPS.find((one) => (to - from) / one <= 7) ?? TIME_STEPS.at(-1);
  const first = Math.ceil(from / step) * step;
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, at) => first + at * step)
    .filter((time) => time - from > (to - from) * 0.02 && to - time > (to - from) * 0.02);
}

/** A path for each stretch of values without a gap. */
function paths(values, times, x, y) {
  const found = [];
  let path = "";
  values.forEach((value, at) => {
    if (value === null) {
      if (path) found.push(path);
      path = "";
    } else {
      path += `${path ? "L" : "M"}${x(times[at]).toFixed(1)} ${y(value).toFixed(1)}`;
    }
  });
  if (path) found.push(path);
  return found.map((one) => (one.includes("L") ? one : `${one}h1.5`));
}

const last = (values) => values.findLast((value) => value !== null) ?? null;
const latest = (values, unit) => `now ${short(last(values), units(unit))}`;
const units = (unit) => (["seconds", "bytes", "messages"].includes(unit) ? unit : "");

function summary(series, unit) {
  return series.map((one) => {
    const present = one.values.filter((value) => value !== null);
    return `${one.name}: now ${short(last(one.values), units(unit))}, highest ${short(Math.max(0, ...present), units(unit))}.`;
  }).join(" ");
}

function readable(drawing, cursor, reading, { times, series, unit, x, from, to }) {
  let at = null;
  const read = (place) => {
    at = Math.max(0, Math.min(place, times.length - 1));
    const left = x(times[at]);
    cursor.setAttribute("x1", left);
    cursor.setAttribute("x2", left);
    reading.textContent = `${clock(times[at], true)} UTC: ${series.map((one) => `${one.name} ${short(one.values[at], units(unit))}`).join(", ")}`;
  };
  const clear = () => {
    at = null;
    cursor.setAttribute("x1", -10);
    cursor.setAttribute("x2", -10);
    reading.textContent = "";
  };
  drawing.addEventListener("keydown", (pressed) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (!(pressed.key in steps) || !times.length) return;
    pressed.preventDefault();
    pressed.stopPropagation();
    read(at === null ? (pressed.key === "Home" ? 0 : times.length - 1) : at + steps[pressed.key]);
  });
  drawing.addEventListener("blur", clear);
  drawing.addEventListener("pointerleave", clear);
  drawing.addEventListener("pointermove", (moved) => {
    if (!times.length) return;
    const frame = drawing.getBoundingClientRect();
    const time = from + ((moved.clientX - frame.left) / frame.width * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT) * (to - from);
    read(times.reduce((best, one, place) => (Math.abs(one - time) < Math.abs(times[best] - time) ? place : best), 0));
  });
}

/** The same as a table, at most 30 rows. */
function table(title, unit, times, series) {
  const every = Math.max(1, Math.ceil(times.length / 30));
  const details = el("details", {}, el("summary", {}, "As a table"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("table")) return;
    const rows = times.map((time, at) => [time, at]).filter(([, at]) => (times.length - 1 - at) % every === 0).reverse();
    details.append(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title} as a table` }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Time, UTC"),
        series.map((one) => el("th", { scope: "col", class: "number" }, logText(one.name), ` (${unit})`)))),
      el("tbody", {}, rows.map(([time, at]) => el("tr", {}, el("th", { scope: "row" }, clock(time, true)),
        series.map((one) => el("td", { class: "number" }, short(one.values[at], units(unit))))))))));
  });
  return details;
}
