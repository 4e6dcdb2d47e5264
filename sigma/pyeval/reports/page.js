"use strict";
(() => {
  const events = Array.from(document.querySelectorAll("details.event"), (node) => ({
    node,
    rule: node.closest(".rule"),
    text: (node.closest(".rule").querySelector("h3").textContent + "\n" + node.textContent).toLowerCase(),
    level: node.closest(".rule").dataset.level,
  }));
  const form = document.querySelector(".filter");
  if (!form || events.length === 0) return;
  const words = form.querySelector("input");
  const level = form.querySelector("select");
  const shown = form.querySelector("output");
  const apply = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rules = new Set();
    let count = 0;
    for (const event of events) {
      const fits = (level.value === "" || event.level === level.value) && wanted.every((word) => event.text.includes(word));
      event.node.hidden = !fits;
      if (fits) {
        rules.add(event.rule);
        count += 1;
      }
    }
    for (const rule of document.querySelectorAll(".rule")) rule.hidden = !rules.has(rule);
    shown.textContent = `${count} of ${events.length} events`;
  };
  const openAll = (open) => {
    for (const event of events) if (!event.node.hidden) event.node.open = open;
  };
  form.addEventListener("submit", (submitted) => submitted.preventDefault());
  words.addEventListener("input", apply);
  level.addEventListener("change", apply);
  form.querySelector(".open").addEventListener("click", () => openAll(true));
  form.querySelector(".shut").addEventListener("click", () => openAll(false));
  form.hidden = false;
  apply();
})();
