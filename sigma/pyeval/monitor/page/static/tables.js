// Tables that can be sorted by their columns.

import { el, replace } from "./dom.js";

/**
 * A table of `rows`. A column: {title, value: row -> what it is sorted by, cell: row -> node or text, number: align right, first: "down"}.
 * `state` {column, down} keeps the order between refreshes.
 */
export function sortable(label, columns, rows, state, redraw) {
  const { value } = columns[state.column];
  const sorted = [...rows].sort((a, b) => {
    const [one, other] = [value(a), value(b)];
    const order = typeof one === "number" ? one - other : String(one).localeCompare(String(other));
    return state.down ? -order : order;
  });
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, el("table", { "aria-label": label },
    el("thead", {}, el("tr", {}, columns.map((column, at) => {
      const isSorted = at === state.column;
      return el("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": isSorted ? (state.down ? "descending" : "ascending") : "none" },
        el("button", { type: "button", class: "sort", "data-column": String(at), onclick: () => {
          state.down = isSorted ? !state.down : Boolean(column.number);
          state.column = at;
          redraw();
        } }, column.title, el("span", { "aria-hidden": "true" }, isSorted ? (state.down ? " ▼" : " ▲") : " ↕")));
    }))),
    el("tbody", {}, sorted.map((row) => el("tr", {}, columns.map((column, at) => el(at === 0 ? "th" : "td",
      { class: column.number ? "number" : null, ...(at === 0 ? { scope: "row" } : {}) }, column.cell(row))))))));
}

/** Put a table in place of the one before, with the focus where it was. */
export function put(box, ...nodes) {
  const focused = box.contains(document.activeElement) ? document.activeElement : null;
  const column = focused?.dataset.column, hash = focused?.hash;
  replace(box, ...nodes);
  if (column !== undefined) box.querySelector(`[data-column="${Number(column)}"]`)?.focus();
  else if (hash) Array.from(box.querySelectorAll("a")).find((one) => one.hash === hash)?.focus();
}
