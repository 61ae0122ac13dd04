// Talks to this page's own server only; it holds no token and needs none.

const find = (id) => document.getElementById(id);

class SessionOver extends Error {}

class StepUp extends Error {
  constructor(message, url) {
    super(message);
    this.url = url;
  }
}

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
  // An API may write the same words: only the log-in of this very site is followed.
  if (value?.error === "step_up_needed" && String(value.login_url).startsWith("/bff/login?")) {
    throw new StepUp(words(answer.status, value), value.login_url);
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
  document.querySelector(".account").hidden = true;
  const unsent = find("note-text")?.value;
  if (unsent) sessionStorage.setItem("unsent-note", unsent);
  find("login-again").focus();
}

function report(error, status) {
  if (error instanceof SessionOver) {
    over();
  } else if (error instanceof StepUp) {
    find("step-up-words").textContent = error.message;
    find("step-up-go").href = `${error.url}&return_to=${encodeURIComponent("/")}`;
    find("step-up").hidden = false;
    find("step-up-go").focus();
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
  find("step-up").hidden = true;
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
    const notes = value?.notes ?? [];
    showCheck("notes-card", value?.token);
    list.replaceChildren(...notes.map(noteRow));
    find("notes-clear").hidden = notes.length === 0;
    status.textContent = message ?? (notes.length ? "" : "No notes yet. Write the first one above.");
  } catch (error) {
    report(error, status);
  } finally {
    list.setAttribute("aria-busy", "false");
  }
}

// The API says how it checked the token; that counts more than what this page expected.
function showCheck(card, token) {
  const said = { introspection: "introspection (opaque token)", "published keys": "published keys (JWT)" };
  const how = said[token?.checked_by];
  if (!how) return;
  const label = find(card).querySelector("[data-checked-by]");
  label.dataset.checkedBy = token.checked_by === "introspection" ? "introspection" : "keys";
  label.textContent = `checked by ${how}`;
}

function facts(page) {
  const day = new Date(`${page.date}T12:00:00Z`);
  const format = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeZone: "UTC" });
  const lit = Math.round(page.moon.illuminated * 100);
  return [
    ["Today", format.format(day)],
    ["Week", page.iso_week],
    ["Day of the year", `${page.day_of_year}, with ${page.days_left} to go`],
    ["Moon", `${page.moon.phase}, ${lit} % lit`],
  ];
}

function factRow([name, value]) {
  const pair = document.createElement("div");
  const term = document.createElement("dt");
  const said = document.createElement("dd");
  term.textContent = name;
  said.textContent = value;
  pair.append(term, said);
  return pair;
}

async function showAlmanac() {
  const page = find("almanac");
  const status = find("almanac-status");
  try {
    const value = await call("/api/almanac");
    const list = document.createElement("dl");
    list.append(...facts(value.almanac).map(factRow));
    page.replaceChildren(list);
    showCheck("almanac-card", value.token);
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

find("notes-clear")?.addEventListener("click", () =>
  busy(find("notes-clear"), async () => {
    await call("/api/notes", { method: "DELETE" });
    await showNotes("All notes deleted.");
    find("note-text").focus();
  }),
);

const unsent = sessionStorage.getItem("unsent-note");
sessionStorage.removeItem("unsent-note");
if (unsent && find("note-text")) find("note-text").value = unsent;

if (find("notes")) showNotes();
if (find("almanac")) showAlmanac();
