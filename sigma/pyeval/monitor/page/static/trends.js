// Rates and lags of the last hours.

import { get } from "./api.js";
import { plot } from "./charts.js";
import { byId, replace } from "./dom.js";
import { clock, count } from "./text.js";

const LEVELS = ["critical", "high", "medium", "low", "informational", "none"];
const LAGS = { seconds: "Lag of sources", bytes: "Lag of sources", messages: "Lag of sources" };

export async function refresh() {
  const reply = await get("/api/trends", { minutes: byId("minutes").value });
  const box = byId("trends");
  // Somebody who reads a plot by keyboard or its table is not interrupted.
  if (box.contains(document.activeElement) && box.childElementCount) return;
  if (box.querySelector("details[open]")) return;
  const span = { times: reply.times, from: reply.now - reply.seconds, to: reply.now };
  const of = (kind, unit = "") => reply.series.filter((one) => one.kind === kind && one.unit === unit);
  const plots = [
    plot({ title: "Events judged", unit: "a second", series: of("events"), ...span }),
    plot({
      title: "Alerts", unit: "a minute", ...span,
      series: of("alerts").sort((a, b) => LEVELS.indexOf(a.name) - LEVELS.indexOf(b.name))
        .map((one) => ({ ...one, isLevel: true, values: one.values.map((value) => (value === null ? null : value * 60)) })),
    }),
    ...Object.entries(LAGS).map(([unit, title]) => [unit, title, of("lag", unit)]).filter(([, , series]) => series.length)
      .map(([unit, title, series]) => plot({ title, unit, series, ...span })),
    plot({ title: "Alerts that wait for sinks", unit: "alerts", series: of("waiting"), ...span }),
  ];
  replace(box, plots);
  const began = reply.began > span.from ? `The service started at ${clock(reply.began)} UTC; what was before is not kept. ` : "";
  const left = reply.left_out ? `${count(reply.left_out)} series are not shown: there are too many.` : "";
  byId("trends-note").textContent = began + left;
}
