// Sends the token once; the server answers with a cookie that no script can read.
const form = document.getElementById("login");
const token = document.getElementById("token");
const said = document.getElementById("said");

/** Load the page itself; another address than this one, else only the part behind "#" would be gone to. */
const enter = () => location.replace(`/page/${location.search ? "" : "?in"}${location.hash}`);

// The cookie is not sent where another site's link led here (SameSite); asked from here, it is.
fetch("/api/session").then((reply) => {
  if (reply.ok) enter();
  else token.focus();
}, () => token.focus());

form.addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  said.textContent = "";
  try {
    const reply = await fetch("/api/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: token.value }),
    });
    if (reply.ok) {
      token.value = "";
      enter();
      return;
    }
    const wait = reply.headers.get("Retry-After");
    said.textContent = reply.status === 401 ? "That is not the token."
      : reply.status === 429 ? `Too many attempts; try again in ${wait} s.` : `The server answered ${reply.status}.`;
  } catch {
    said.textContent = "The server cannot be reached.";
  }
  token.select();
});
