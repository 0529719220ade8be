// Saves the document a moment after each change, and finds out when another tab has saved in between.

import { ask, send } from "./api.js";
import { question, tell, tellProblem } from "./dialogs.js";
import { toSend } from "./marks.js";

const MOMENT = 250; // milliseconds
const RETRY = 3000;
const LARGEST_LAST_WORD = 60_000; // bytes that a browser still sends when a page is closed

export class Saving {
  #history;
  #state;
  #revision;
  #timer = null;
  #saving = false;
  #unsaved = false;
  #stopped = false;

  constructor(history, revision, state) {
    this.#history = history;
    this.#revision = revision;
    this.#state = state;
    history.onChange((now, before) => {
      if (now !== before) this.soon();
    });
    addEventListener("pagehide", () => this.#lastWord());
    addEventListener("beforeunload", (event) => {
      if (this.#unsaved && this.#tooLong()) event.preventDefault();
    });
  }

  soon(delay = MOMENT) {
    this.#unsaved = true;
    if (this.#stopped) return;
    this.#state.textContent = "Saving…";
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), delay);
  }

  async #save(force = false) {
    if (this.#saving) return this.soon();
    this.#saving = true;
    const doc = this.#history.doc;
    try {
      const body = { revision: this.#revision, document: toSend(doc), force };
      const keepalive = !this.#tooLong(); // goes on where the page is left meanwhile
      this.#revision = (await ask("PUT", "/view/document", { body, keepalive })).revision;
      this.#unsaved = doc !== this.#history.doc;
      this.#state.textContent = this.#unsaved ? "Saving…" : "Saved";
    } catch (error) {
      await this.#failed(error);
    } finally {
      this.#saving = false;
    }
  }

  async #failed(error) {
    this.#state.textContent = "Not saved";
    if (error.status !== 409) {
      tellProblem(error);
      if (error.status === 0 || error.status >= 500) this.soon(RETRY);
      return;
    }
    this.#stopped = true;
    const answer = await question("Changed in another tab", `${error.message} What do you want to go on with?`, {
      reload: "What is there (reload)",
      keep: "What this tab shows",
    });
    if (answer === "reload") {
      this.#unsaved = false;
      location.reload();
      return;
    }
    this.#stopped = false;
    tell("What the other tab had saved is kept as a copy in the state folder.");
    setTimeout(() => this.#save(true));
  }

  #tooLong() {
    return JSON.stringify(toSend(this.#history.doc)).length > LARGEST_LAST_WORD;
  }

  #lastWord() {
    if (!this.#unsaved || this.#stopped || this.#tooLong()) return;
    const revision = this.#revision + (this.#saving ? 1 : 0); // what is being saved just now comes before
    const body = { revision, document: toSend(this.#history.doc) };
    send("PUT", "/view/document", { body, keepalive: true }).catch(() => {});
  }
}
