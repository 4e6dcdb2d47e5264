// Tactics of ATT&CK in the order of its matrix, each with its techniques; a cell leads to its alerts.

import { byId, el, inside, link, logText } from "./dom.js";
import { hashOf } from "./filters.js";
import { put } from "./tables.js";
import { count, counted } from "./text.js";

export function show(overview) {
  const tactics = overview.attack;
  if (!tactics.length) {
    put(byId("attack"), el("p", { class: "note" }, "No kept alert is of a rule that names tactics or techniques."));
    return;
  }
  const largest = Math.max(1, ...tactics.flatMap((row) => row.techniques.map((cell) => cell.alerts)));
  put(byId("attack"),
    el("p", { class: "note" }, "Alerts whose rules name the tactic and the technique, of all that are kept; an alert counts for each pair. The darker, the more."),
    el("div", { class: "matrix" }, tactics.map((row) => column(row, largest))));
}

function column(row, largest) {
  const name = row.url ? link(row.url) : el("span");
  name.replaceChildren(logText(row.title));
  return el("section", { "aria-label": row.title },
    el("h3", {}, name),
    el("p", { class: "note" }, row.tactic ? inside(hashOf({ tactic: row.tactic }), counted(row.alerts, "alert")) : counted(row.alerts, "alert")),
    row.techniques.length ? el("ul", {}, row.techniques.map((cell) => {
      const anchor = inside(hashOf({ tactic: row.tactic, technique: cell.technique }), logText(cell.technique), " ", el("span", { class: "amount" }, count(cell.alerts)));
      anchor.className = `cell heat-${1 + Math.round(4 * Math.log(cell.alerts) / Math.log(Math.max(largest, 10)))}`;
      anchor.setAttribute("aria-label", `${cell.technique}: ${counted(cell.alerts, "alert")}`);
      return el("li", {}, anchor);
    })) : el("p", { class: "note" }, "no technique"));
}
