// Talks to this page's own server only; it holds no token and needs none.

const find = (id) => document.getElementById(id);

class SessionOver extends Error {}

async function call(path, { method = "GET", json } = {}) {
  const headers = { "X-CSRF": "1" };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    const body = json === undefined ? undefined : JSON.stringify(json);
    answer = await fetch(path, { method, headers, body, credentials: "same-origin", cache: "no-store" });
  } catch {
    throw new Error("We cannot reach the server. Check your connection and try again.");
  }
  if (answer.status === 401) throw new SessionOver();
  const text = await answer.text();
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    value = null;
  }
  if (!answer.ok) throw new Error(words(answer.status, value));
  return value;
}

function words(status, value) {
  if (value && typeof value.message === "string") return value.message;
  if (status === 403) return "You are not allowed to do that.";
  if (status === 404) return "That is no longer there.";
  if (status === 429) return "That was a lot at once. Wait a moment and try again.";
  if (status >= 500) return "The service has a problem. Please try again in a moment.";
  return "That did not work. Please check what you entered.";
}

function over() {
  find("session-over").hidden = false;
  find("problem").hidden = true;
  document.querySelector(".cards").hidden = true;
  find("logout").hidden = true;
  find("login-again").focus();
}

function report(error, status) {
  if (error instanceof SessionOver) {
    over();
  } else if (status) {
    status.textContent = error.message;
  } else {
    find("problem").textContent = error.message;
    find("problem").hidden = false;
  }
}

async function busy(button, work) {
  button.disabled = true;
  find("problem").hidden = true;
  try {
    await work();
  } catch (error) {
    report(error);
  } finally {
    button.disabled = false;
  }
}

function noteRow(note) {
  const row = document.createElement("li");
  const text = document.createElement("span");
  text.textContent = note.text;
  const remove = document.createElement("button");
  remove.type = "button";
  remove.className = "quiet";
  remove.textContent = "Delete";
  remove.setAttribute("aria-label", `Delete the note: ${note.text}`);
  remove.dataset.noteDelete = note.id;
  remove.addEventListener("click", () =>
    busy(remove, async () => {
      await call(`/api/notes/${encodeURIComponent(note.id)}`, { method: "DELETE" });
      await showNotes("Note deleted.");
      find("note-text").focus();
    }),
  );
  row.append(text, remove);
  return row;
}

async function showNotes(message) {
  const list = find("notes");
  const status = find("notes-status");
  try {
    const value = await call("/api/notes");
    const notes = Array.isArray(value) ? value : (value?.notes ?? []);
    list.replaceChildren(...notes.map(noteRow));
    status.textContent = message ?? (notes.length ? "" : "No notes yet. Write the first one above.");
  } catch (error) {
    report(error, status);
  } finally {
    list.setAttribute("aria-busy", "false");
  }
}

function fact([name, value]) {
  const pair = document.createElement("div");
  const term = document.createElement("dt");
  const said = document.createElement("dd");
  term.textContent = name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");
  said.textContent = typeof value === "object" ? JSON.stringify(value) : String(value);
  pair.append(term, said);
  return pair;
}

async function showAlmanac() {
  const page = find("almanac");
  const status = find("almanac-status");
  try {
    const value = await call("/api/almanac");
    const facts = document.createElement("dl");
    facts.append(...Object.entries(value ?? {}).filter(([, said]) => said !== null).map(fact));
    page.replaceChildren(facts);
    status.textContent = "";
  } catch (error) {
    report(error, status);
  } finally {
    page.setAttribute("aria-busy", "false");
  }
}

find("logout").addEventListener("click", () =>
  busy(find("logout"), async () => {
    const { logout_url: url } = await call("/bff/logout", { method: "POST", json: {} });
    window.location.assign(url);
  }),
);

find("note-form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const field = find("note-text");
  busy(find("note-add"), async () => {
    await call("/api/notes", { method: "POST", json: { text: field.value } });
    field.value = "";
    await showNotes("Note added.");
    field.focus();
  });
});

if (find("notes")) showNotes();
if (find("almanac")) showAlmanac();
