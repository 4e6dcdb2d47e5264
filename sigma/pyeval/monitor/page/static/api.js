// Asking the server; replies are JSON, and numbers that JavaScript cannot hold exactly stay as they are written.

export class ApiError extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

/** A number as the server wrote it. */
export class Exact {
  constructor(source) {
    this.source = source;
  }
}

export async function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined));
  const text = await ask(`${path}${query.size ? `?${query}` : ""}`, { signal });
  return JSON.parse(text, exactly);
}

/** The text of a reply. */
export async function text(path) {
  return ask(path, {});
}

export async function send(method, path, body) {
  const options = { method, headers: { "Content-Type": "application/json" } };
  if (body !== undefined) options.body = JSON.stringify(body);
  const reply = await ask(path, options);
  return reply ? JSON.parse(reply) : null;
}

async function ask(path, options) {
  const reply = await fetch(path, { credentials: "same-origin", redirect: "error", ...options });
  if (reply.status === 401) location.reload(); // the session has ended: the server now gives the form
  const body = await reply.text();
  if (reply.ok) return body;
  let reason = `the server answered ${reply.status}`;
  try {
    reason = JSON.parse(body).error ?? reason;
  } catch { /* not from the service itself, a proxy's page perhaps */ }
  throw new ApiError(reply.status, reason);
}

function exactly(_, value, context) {
  if (typeof value !== "number" || context?.source === undefined || Number.isSafeInteger(value)) return value;
  return Number.isInteger(value) || !Number.isFinite(value) ? new Exact(context.source) : value;
}
