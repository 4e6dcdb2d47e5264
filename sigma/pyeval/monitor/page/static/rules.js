// Which rules the kept alerts are of.

import { badge, byId, el, inside, logText, svg } from "./dom.js";
import { hashOf } from "./filters.js";
import { put, sortable } from "./tables.js";
import { count, moment } from "./text.js";

const LEVELS = ["none", "informational", "low", "medium", "high", "critical"];
const order = { column: 2, down: true };

export function show(overview) {
  const largest = Math.max(1, ...overview.rules.map((row) => row.alerts));
  const columns = [
    { title: "Rule", value: (row) => row.title.toLowerCase(), cell: (row) => inside(hashOf({ rule: row.rule }), logText(row.title)) },
    { title: "Level", number: false, value: (row) => LEVELS.indexOf(row.level), cell: (row) => badge(row.level) },
    { title: "Alerts", number: true, value: (row) => row.alerts, cell: (row) => [count(row.alerts), bar(row, largest)] },
    { title: "Not acknowledged", number: true, value: (row) => row.unacknowledged, cell: (row) => count(row.unacknowledged) },
    { title: "Held back", number: true, value: (row) => row.suppressed, cell: (row) => count(row.suppressed) },
    { title: "Hosts", number: true, value: (row) => row.hosts, cell: (row) => count(row.hosts) },
    { title: "Last detected, UTC", value: (row) => row.last, cell: (row) => el("time", { datetime: row.last }, moment(row.last)) },
  ];
  const note = `${count(overview.rules.length + overview.rules_left_out)} of ${count(overview.health.rules)} running rules have kept alerts.`
    + (overview.rules_left_out ? ` The ${count(overview.rules_left_out)} with the fewest are not listed.` : "");
  put(byId("rules"), el("p", { class: "note" }, note), sortable("Rules by alerts", columns, overview.rules, order, () => show(overview)));
}

function bar(row, largest) {
  const level = LEVELS.includes(row.level) ? row.level : "none";
  return svg("svg", { class: "bar", "aria-hidden": "true" }, svg("rect", { width: `${Math.max(1, Math.round(100 * row.alerts / largest))}%`, height: "100%", class: level }));
}
