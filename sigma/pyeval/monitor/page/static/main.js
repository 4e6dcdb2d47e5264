// Begins the page, shows the view that the address names, and asks the server what is new.

import * as alerts from "./alerts.js";
import { get, send } from "./api.js";
import * as attack from "./attack.js";
import * as detail from "./detail.js";
import { badge, byId, el, inside, replace } from "./dom.js";
import * as filters from "./filters.js";
import * as health from "./health.js";
import * as keys from "./keys.js";
import * as rules from "./rules.js";
import { clock, count } from "./text.js";
import * as trends from "./trends.js";

const POLL_MS = 1000, HIDDEN_MS = 10000, OVERVIEW_MS = 5000, TRENDS_MS = 5000, LONGEST_MS = 30000;
const VIEWS = { alerts: null, rules, attack, trends: null, health };
const TITLES = { alerts: "Alerts", rules: "Rules", attack: "ATT&CK", trends: "Trends", health: "Health" };
const LEVELS = ["critical", "high", "medium", "low", "informational", "none"];

let view = null, login = null, overview = null;
let failures = 0, wake = () => {};
const due = { overview: 0, trends: 0, load: true };

function route() {
  const [wanted, asked] = filters.readHash();
  const before = view;
  view = Object.hasOwn(VIEWS, wanted) ? wanted : "alerts";
  for (const name of Object.keys(VIEWS)) byId(`view-${name}`).hidden = name !== view;
  for (const anchor of document.querySelectorAll("nav a")) {
    if (anchor.dataset.view === view) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  if (view === "alerts") filters.apply(asked);
  draw();
  if (before !== null && before !== view) {
    document.title = `${TITLES[view]} · sigma-pyeval`;
    window.scrollTo(0, 0);
    due.trends = 0;
    wake();
  }
}

function draw() {
  if (overview === null) return;
  health.strip(overview);
  VIEWS[view]?.show(overview);
  levels();
}

function levels() {
  const present = LEVELS.filter((level) => level !== "none" || overview.levels.none);
  const box = byId("levels");
  const focused = box.contains(document.activeElement) ? document.activeElement.hash : null;
  replace(box, present.map((level) => {
    const { alerts: all, unacknowledged } = overview.levels[level] ?? { alerts: 0, unacknowledged: 0 };
    return el("li", { class: all ? level : `${level} zero` }, inside(filters.hashOf({ ...filters.filter(), level }),
      el("span", { class: "count" }, count(all)), badge(level),
      el("span", { class: "note" }, all ? `${count(unacknowledged)} open` : "")));
  }));
  if (focused) Array.from(box.querySelectorAll("a")).find((one) => one.hash === focused)?.focus();
}

async function step() {
  const now = Date.now();
  // What stands above the list comes before it: a list that moves is hard to hit.
  if (login === null) {
    login = (await get("/api/session")).login;
    byId("logout").hidden = !login;
  }
  if (now >= due.overview) {
    overview = await get("/api/overview");
    due.overview = now + OVERVIEW_MS;
    filters.offer(overview);
    byId("about").textContent = `sigma-pyeval ${overview.version}. Times are UTC. Rules keep their authors' licences.`;
    draw();
  }
  if (due.load) {
    await alerts.load();
    due.load = false;
  } else {
    await alerts.poll();
  }
  if (view === "trends" && now >= due.trends) {
    due.trends = now + TRENDS_MS;
    await trends.refresh();
  }
}

/** Ask again and again; less often while that fails, and while nobody looks. */
async function run() {
  for (;;) {
    let pause = document.hidden ? HIDDEN_MS : POLL_MS;
    try {
      await step();
      if (failures) lost("");
      failures = 0;
    } catch (error) {
      failures += 1;
      pause = Math.min(POLL_MS * 1.7 ** failures, LONGEST_MS);
      lost(error.message, pause);
    }
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, pause);
      wake = () => { clearTimeout(timer); resolve(); };
    });
  }
}

let lostSince = 0;
function lost(reason, pause = 0) {
  const box = byId("lost");
  document.body.classList.toggle("is-lost", Boolean(reason));
  if (!reason) {
    box.hidden = true;
    box.textContent = "";
    lostSince = 0;
    due.overview = 0;
    return;
  }
  lostSince ||= Date.now() / 1000;
  box.hidden = false;
  const text = `Connection lost since ${clock(lostSince, true)} UTC (${reason}). What is shown may be old. Trying again every ${Math.ceil(pause / 1000)} s.`;
  if (box.textContent !== text) box.textContent = text;
}

function begin() {
  alerts.begin();
  filters.begin();
  filters.onChange(() => { due.load = true; wake(); });
  detail.begin((id) => alerts.acknowledge(id).then(() => { due.overview = 0; }), alerts.markClosed);
  keys.begin();
  byId("older").addEventListener("click", () => alerts.older().catch((error) => lost(error.message)));
  byId("fresh").addEventListener("click", () => alerts.showFresh());
  byId("acknowledge-all").addEventListener("click", () => alerts.acknowledge(null).then(() => { due.overview = 0; wake(); }));
  byId("minutes").addEventListener("change", () => { due.trends = 0; wake(); });
  byId("logout").addEventListener("click", async () => {
    await send("DELETE", "/api/session");
    location.replace("/page/");
  });
  addEventListener("hashchange", route);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) wake(); });
  route();
  run();
}

begin();
