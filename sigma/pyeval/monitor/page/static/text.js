// What a log says, made visible: nothing of it steers the page, its direction, or who reads it.

const STEERING = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;
const NAMED = new Map([["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);

/** The escape that Python's ascii() writes for a character. */
function escapeOf(character) {
  if (NAMED.has(character)) return NAMED.get(character);
  const code = character.codePointAt(0);
  const digits = code.toString(16);
  if (code < 0x100) return `\\x${digits.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${digits.padStart(4, "0")}` : `\\U${digits.padStart(8, "0")}`;
}

/** Yield [piece, is an escape] of a text; escapes stand for control, format, surrogate and unassigned characters. */
export function* pieces(text) {
  if (!STEERING.test(text)) {
    if (text) yield [text, false];
    return;
  }
  let plain = "";
  for (const character of text) {
    if (!STEERING.test(character)) {
      plain += character;
      continue;
    }
    if (plain) yield [plain, false];
    plain = "";
    yield [escapeOf(character), true, character];
  }
  if (plain) yield [plain, false];
}

/** A text with escapes for what cannot be seen, for attributes and titles. */
export function visible(text) {
  return Array.from(pieces(String(text)), ([piece]) => piece).join("");
}

/** 12345 as 12,345. */
export function count(number) {
  return Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/** "1 alert", "2 alerts". */
export function counted(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** The time of an RFC 3339 text in UTC, to the second: 2026-11-20 18:40:10. */
export function moment(text) {
  return text ? text.slice(0, 19).replace("T", " ") : "";
}

/** A time of day in UTC, of seconds since the epoch. */
export function clock(seconds, withSeconds = false) {
  return new Date(seconds * 1000).toISOString().slice(11, withSeconds ? 19 : 16);
}

/** A number with a short unit: 12.3k, 1.5 MiB for bytes. */
export function short(value, unit = "") {
  if (value === null || value === undefined) return "–";
  if (unit === "bytes") {
    const names = ["B", "KiB", "MiB", "GiB", "TiB"];
    let place = 0;
    while (value >= 1024 && place < names.length - 1) { value /= 1024; place += 1; }
    return `${place === 0 ? Math.round(value) : value.toPrecision(3)} ${names[place]}`;
  }
  const suffix = unit === "seconds" ? " s" : unit ? ` ${unit}` : "";
  if (value !== 0 && Math.abs(value) < 0.01) return `${value.toExponential(0)}${suffix}`;
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (Math.abs(value) >= size) return `${trimmed(value / (letter === "k" ? 1e3 : size))}${letter}${suffix}`;
  }
  return `${trimmed(value)}${suffix}`;
}

function trimmed(value) {
  return Math.abs(value) >= 100 ? Math.round(value).toString() : String(Number(value.toPrecision(3)));
}
