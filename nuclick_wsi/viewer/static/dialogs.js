// Messages, questions and progress.

import { keepToken } from "./api.js";

const LONG_ENOUGH = 8000; // milliseconds that a message stays that is no error

const byId = (id) => document.getElementById(id);

/** Show a message; what is wrong stays until it is closed. */
export function tell(text, { wrong = false } = {}) {
  const box = document.createElement("p");
  const words = document.createElement("span");
  const close = document.createElement("button");
  words.textContent = text;
  close.textContent = "×";
  close.setAttribute("aria-label", "Close the message");
  close.onclick = () => box.remove();
  box.classList.toggle("wrong", wrong);
  if (wrong) box.setAttribute("role", "alert");
  box.append(words, close);
  const earlier = [...byId("messages").children].find((one) => one.firstElementChild.textContent === text);
  earlier?.remove();
  byId("messages").append(box);
  if (!wrong) setTimeout(() => box.remove(), LONG_ENOUGH);
}

export function tellProblem(error) {
  if (error.name === "AbortError") return;
  tell([error.message, error.hint].filter(Boolean).join(" "), { wrong: true });
}

export function showProgress(done, total, cancel) {
  const box = byId("progress");
  box.hidden = total === 0;
  const [words, bar, button] = box.children;
  words.textContent = `Outlining ${done} of ${total}`;
  bar.max = total || 1;
  bar.value = done;
  button.onclick = cancel;
}

/** Ask a question; resolves to the answer that was chosen, by its key, and to `escape` for Escape. */
export function question(title, text, answers, escape = Object.keys(answers).at(-1)) {
  const dialog = byId("question");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("p").textContent = text;
  return new Promise((resolve) => {
    const choose = (key) => {
      dialog.close();
      resolve(key);
    };
    const buttons = Object.entries(answers).map(([key, label], place) => {
      const button = document.createElement("button");
      button.textContent = label;
      button.classList.toggle("main", place === 0);
      button.onclick = () => choose(key);
      return button;
    });
    dialog.querySelector(".row").replaceChildren(...buttons);
    dialog.oncancel = () => choose(escape);
    dialog.showModal();
  });
}

/** Ask for the token; the server's answer says in which file it is. */
export function askForToken(problem) {
  byId("token-hint").textContent = problem.hint.replace(/^Send `[^`]*` with the token in/, "It is in the file") +
    " Opening the file that `nuclick-wsi view` names brings it along.";
  const dialog = byId("token-dialog");
  dialog.oncancel = (event) => event.preventDefault();
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      keepToken(byId("token").value.trim());
      byId("token").value = "";
      resolve();
    };
  });
}

export function askForPixelSize() {
  const dialog = byId("pixel-dialog");
  dialog.oncancel = (event) => event.preventDefault();
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(Number(byId("pixel-size").value));
  });
}

export function showHelp(keys) {
  const rows = keys.map(([key, does]) => {
    const row = document.createElement("tr");
    const [name, words] = [document.createElement("th"), document.createElement("td")];
    name.scope = "row";
    for (const one of key.split(/, |  /)) {
      const symbol = document.createElement("kbd");
      symbol.textContent = one;
      name.append(symbol, " ");
    }
    words.textContent = does;
    row.append(name, words);
    return row;
  });
  const table = byId("help-dialog").querySelector("table");
  table.replaceChildren(table.caption, ...rows);
  byId("help-dialog").showModal();
}
