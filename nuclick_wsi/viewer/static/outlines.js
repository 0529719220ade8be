// Asks for outlines as the document changes, and keeps what came back, by the id of the mark.
//
// A change is asked about once the request before it is answered, all changes since then in one request. A request
// is ended in the middle where a mark that it asks about has changed again: its answer is overtaken.

import { ask, askWithProgress } from "./api.js";
import { boxOf } from "./marks.js";

const MOST_AT_ONCE = 64; // changes from which on progress is shown

export class Outlines {
  #history;
  #events;
  #found = new Map();
  #waiting = new Map(); // boxes by the id of the mark that has changed
  #running = null;
  #whole = null;
  #meanwhile = new Map(); // what has changed while all outlines were asked for

  /** @param events what to call: changed(), failed(problem), progress(done, total) with total 0 at the end */
  constructor(history, events) {
    this.#history = history;
    this.#events = events;
    history.onChange((now, before) => this.#changed(now, before));
  }

  /** What came of a mark: { outlines, rejections }; undefined while it is not known. */
  of(mark) {
    const found = this.#found.get(mark.id);
    return found?.mark === mark ? found : undefined;
  }

  /** All outlines with their marks. */
  *all() {
    for (const mark of this.#history.doc.prompts) {
      for (const outline of this.of(mark)?.outlines ?? []) yield { mark, outline };
    }
  }

  get busy() {
    return this.#running !== null || this.#whole !== null;
  }

  /** Ask for the outlines of all marks at once; resolves when they are there, or false where it was cancelled. */
  async askForAll() {
    this.cancel();
    if (!this.#history.doc.prompts.length) return true;
    const controller = new AbortController();
    const doc = this.#history.doc;
    this.#whole = controller;
    this.#meanwhile = new Map();
    const progress = (done, total) => this.#events.progress(done, total);
    try {
      progress(0, doc.prompts.length);
      this.#keep(doc, await askWithProgress("/view/outlines", this.#body(doc, null), progress, controller.signal));
      return true;
    } catch (error) {
      if (error.name !== "AbortError") throw error;
      return false;
    } finally {
      if (this.#whole === controller) {
        this.#whole = null;
        this.#events.progress(0, 0);
        if (this.#meanwhile.size) this.#queue(this.#meanwhile); // the answer did not know of it
      }
    }
  }

  cancel() {
    this.#whole?.abort();
    this.#whole = null;
    this.#events.progress(0, 0);
  }

  #changed(now, before) {
    const old = new Map(before.prompts.map((mark) => [mark.id, mark]));
    const boxes = new Map();
    for (const mark of now.prompts) {
      const was = old.get(mark.id);
      if (was !== mark) boxes.set(mark.id, [boxOf(mark), ...(was ? [boxOf(was)] : [])]);
      old.delete(mark.id);
    }
    for (const mark of old.values()) {
      boxes.set(mark.id, [boxOf(mark)]);
      this.#found.delete(mark.id);
    }
    const isMuch = now.pixel_size_um !== before.pixel_size_um || boxes.size > MOST_AT_ONCE;
    if (isMuch) this.askForAll().catch((error) => this.#events.failed(error));
    else if (boxes.size) {
      for (const [id, some] of boxes) this.#meanwhile.set(id, [...(this.#meanwhile.get(id) ?? []), ...some]);
      this.#queue(boxes);
    }
  }

  #queue(boxes) {
    if (this.#running && [...boxes.keys()].some((id) => this.#running.boxes.has(id))) {
      this.#running.controller.abort();
      this.#add(this.#running.boxes);
      this.#running = null;
    }
    this.#add(boxes);
    this.#next();
  }

  #add(boxes) {
    for (const [id, some] of boxes) this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), ...some]);
  }

  async #next() {
    if (this.#running || !this.#waiting.size) return;
    const running = { boxes: this.#waiting, controller: new AbortController() };
    this.#waiting = new Map();
    this.#running = running;
    const doc = this.#history.doc;
    try {
      const body = this.#body(doc, [...running.boxes.values()].flat());
      this.#keep(doc, await ask("POST", "/view/outlines", { body, signal: running.controller.signal }));
    } catch (error) {
      if (error.name !== "AbortError") this.#events.failed(error);
    }
    if (this.#running !== running) return; // overtaken: the one that did it goes on
    this.#running = null;
    this.#next();
  }

  #body(doc, changed) {
    return { prompts: doc.prompts, pixel_size_um: doc.pixel_size_um, changed };
  }

  /** Keep an answer for the marks that are still as they were when it was asked for. */
  #keep(doc, answer) {
    const marks = new Map(doc.prompts.map((mark) => [mark.id, mark]));
    const now = new Map(this.#history.doc.prompts.map((mark) => [mark.id, mark]));
    const fresh = new Map(answer.asked.map((id) => [id, { mark: marks.get(id), outlines: [], rejections: [] }]));
    for (const one of answer.outlines) fresh.get(one.mark).outlines.push(drawable(one));
    for (const one of answer.rejections) {
      if (!fresh.has(one.mark)) fresh.set(one.mark, { mark: marks.get(one.mark), outlines: [], rejections: [] });
      fresh.get(one.mark).rejections.push(one);
    }
    for (const [id, found] of fresh) {
      if (now.get(id) === found.mark) this.#found.set(id, found);
    }
    this.#events.changed();
  }
}

/** An outline with the path to draw it by and the box around it, in slide pixels. */
function drawable(outline) {
  const path = new Path2D();
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of outline.polygons.flat()) {
    ring.forEach(([x, y], place) => {
      if (place === 0) path.moveTo(x, y);
      else path.lineTo(x, y);
      box[0] = Math.min(box[0], x);
      box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x);
      box[3] = Math.max(box[3], y);
    });
    path.closePath();
  }
  return { ...outline, path, box };
}
