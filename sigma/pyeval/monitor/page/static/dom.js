// The one place where elements are made: text is always a text node, and only these attributes are ever set.

import { pieces, visible } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const FORBIDDEN = /^(on|style$|src$|srcdoc$|href$|action$|formaction$)/i;

export const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") node.addEventListener("click", value);
    else if (FORBIDDEN.test(name)) throw new Error(`the attribute ${name} is not for data`);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, visible(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

/** An element; strings among the children become text. `onclick` takes a function. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Text of a log or a rule: in a direction of its own, with escapes for what cannot be seen. */
export function logText(text, attributes = {}) {
  return el("bdi", { dir: "ltr", class: "log", ...attributes }, escaped(text));
}

/** The nodes of a text with its escapes; with `breaks`, lines stay lines. */
export function escaped(text, breaks = false) {
  return Array.from(pieces(String(text)), ([piece, isEscape, character]) => {
    if (!isEscape) return piece;
    const mark = el("span", { class: "escape" }, piece);
    return breaks && character === "\n" ? [mark, "\n"] : mark;
  });
}

/** A link where the text is an http or https address and nothing in it is hidden; the text alone otherwise. */
export function link(text) {
  let address = null;
  try {
    address = new URL(text);
  } catch { /* no address: shown as text */ }
  const isWeb = address !== null && ["http:", "https:"].includes(address.protocol) && /^https?:\/\//i.test(text);
  if (!isWeb || visible(text) !== text || address.username || address.password) return logText(text);
  const anchor = el("a", { rel: "noreferrer noopener", target: "_blank", class: "outside" }, logText(text));
  anchor.href = address.href;
  return anchor;
}

/** A link within the page. */
export function inside(hash, ...children) {
  const anchor = el("a", {}, ...children);
  anchor.href = `#${hash}`;
  return anchor;
}

const SHAPES = { critical: "◆", high: "▲", medium: "■", low: "●", informational: "○", none: "–" };

/** A level, told by shape, word and colour. */
export function badge(level) {
  const known = Object.hasOwn(SHAPES, level) ? level : "none";
  return el("span", { class: `badge ${known}` },
    el("span", { class: "shape", "aria-hidden": "true" }, SHAPES[known]), known === "none" ? "no level" : known);
}

/** A button. */
export function button(label, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, label);
}

/** Put nodes in the place of what an element holds. */
export function replace(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
}
