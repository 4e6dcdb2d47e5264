// The keyboard; nothing is taken from who types, or from the browser's own combinations.

import * as alerts from "./alerts.js";
import * as detail from "./detail.js";
import { byId } from "./dom.js";

const VIEWS = ["alerts", "rules", "attack", "trends", "health"];

export function begin() {
  document.addEventListener("keydown", (pressed) => {
    if (pressed.ctrlKey || pressed.altKey || pressed.metaKey || document.querySelector("dialog[open]")) return;
    const isTyping = pressed.target.matches?.("input, textarea, select");
    if (isTyping) {
      if (pressed.key === "Escape") pressed.target.blur();
      return;
    }
    if (act(pressed.key, pressed.target)) pressed.preventDefault();
  });
  byId("help-button").addEventListener("click", () => byId("help").showModal());
}

function act(key, target) {
  const isAlerts = !byId("view-alerts").hidden;
  if (key === "?") return byId("help").showModal(), true;
  if (/^[1-5]$/.test(key)) return (location.hash = VIEWS[Number(key) - 1]), true;
  if (key === "Escape") return detail.close(), false;
  if (key === "/") {
    if (!isAlerts) location.hash = "alerts";
    byId("words").focus();
    byId("words").select();
    return true;
  }
  if (!isAlerts) return false;
  const isScrolling = target.closest?.(".pieces, .scroll, svg") || (target.closest?.("#detail") && key.startsWith("Arrow"));
  if (key === "j" || (key === "ArrowDown" && !isScrolling)) return alerts.move(1), true;
  if (key === "k" || (key === "ArrowUp" && !isScrolling)) return alerts.move(-1), true;
  if (key === "n") return alerts.showFresh(), true;
  if (key === "a") {
    const id = alerts.chosen();
    if (id) alerts.acknowledge(id);
    return true;
  }
  return false;
}
