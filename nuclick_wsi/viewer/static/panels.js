// The panel at the side: classes, counts, review, and what is known of the mark that is selected.

import { changedMark, css, deciding, replacing, without } from "./marks.js";
import { goTo } from "./slide.js";
import { SURENESS } from "./sheet.js";

const byId = (id) => document.getElementById(id);
const NAMES = { nucleus: "Nucleus", cell: "Cell", "cell+nucleus": "Cell with nucleus", gland: "Gland", ignore: "Ignore" };
const NEW_COLORS = ["#00796b", "#ad1457", "#1565c0", "#6a1b9a", "#ef6c00"];

export class Panels {
  #app;

  /** @param app what the page is made of: history, outlines, sheet, tools, osd, info */
  constructor(app) {
    this.#app = app;
    byId("new-class").onsubmit = (event) => this.#addClass(event);
    byId("by-class").onclick = () => this.colorBy(false);
    byId("by-sureness").onclick = () => this.colorBy(true);
    byId("show-outlines").onchange = (event) => this.#show("outlines", event.target.checked);
    byId("show-marks").onchange = (event) => this.#show("marks", event.target.checked);
    byId("legend").replaceChildren(...SURENESS.map(([limit, color]) => legendEntry(limit, color)));
    byId("delete").onclick = () => this.deleteSelected();
    byId("next").onclick = () => this.step(1);
    byId("previous").onclick = () => this.step(-1);
    byId("accept").onclick = () => this.decide("accepted");
    byId("reject").onclick = () => this.decide("rejected");
    byId("correct").onclick = () => this.correct();
    app.history.onChange((now, before) => {
      if (now.classes !== before.classes) this.#showClasses();
      this.update();
    });
    this.#showClasses();
    this.update();
  }

  get #doc() {
    return this.#app.history.doc;
  }

  get selected() {
    return this.#doc.prompts.find((mark) => mark.id === this.#app.sheet.look.selected) ?? null;
  }

  select(id) {
    this.#app.sheet.look.selected = id;
    this.update();
  }

  deleteSelected() {
    if (this.selected) this.#app.history.change(without(this.#doc, [this.selected.id]));
  }

  /** Give new marks a class, and the selected one too: by its place, -1 for none. */
  useClass(place) {
    const name = place < 0 ? null : this.#doc.classes[place]?.name;
    if (name === undefined) return;
    this.#app.tools.className = name;
    this.#showClasses();
    const mark = this.selected;
    if (mark && mark.object !== "ignore" && (mark.class ?? null) !== name) {
      const changed = changedMark(mark, { class: name });
      this.#app.history.change(replacing(this.#doc, mark.id, changed));
      this.select(changed.id);
    }
  }

  colorBy(bySureness) {
    this.#app.sheet.look.bySureness = bySureness;
    byId("by-class").setAttribute("aria-pressed", String(!bySureness));
    byId("by-sureness").setAttribute("aria-pressed", String(bySureness));
    byId("legend").hidden = !bySureness;
    this.#app.sheet.draw();
  }

  toggle(what) {
    const box = byId(`show-${what}`);
    box.checked = !box.checked;
    this.#show(what, box.checked);
  }

  /** Marks with an outline that nothing has been decided of, the least sure first; the selected one stays among them. */
  #queue() {
    const least = new Map();
    for (const { mark, outline } of this.#app.outlines.all()) {
      if (outline.sureness === null) continue;
      if (this.#doc.decisions[mark.id] && mark.id !== this.#app.sheet.look.selected) continue;
      const known = least.get(mark.id);
      if (!known || outline.sureness < known.outline.sureness) least.set(mark.id, { mark, outline });
    }
    return [...least.values()].sort((one, other) => one.outline.sureness - other.outline.sureness);
  }

  step(by) {
    const queue = this.#queue();
    if (!queue.length) return;
    const place = queue.findIndex(({ mark }) => mark.id === this.#app.sheet.look.selected);
    const next = queue[place < 0 ? 0 : (place + by + queue.length) % queue.length];
    this.select(next.mark.id);
    goTo(this.#app.osd, next.outline.box);
  }

  decide(decision) {
    const mark = this.selected;
    if (!mark) return;
    const queue = this.#queue();
    const place = queue.findIndex((one) => one.mark.id === mark.id);
    this.#app.history.change(deciding(this.#doc, mark.id, decision));
    const next = queue[place + 1];
    if (place >= 0 && next) {
      this.select(next.mark.id);
      goTo(this.#app.osd, next.outline.box);
    }
  }

  correct() {
    this.#app.tools.correct(this.#app.tools.correcting ? null : this.selected);
  }

  update() {
    this.#app.sheet.draw();
    this.#showCounts();
    this.#showSelected();
    byId("undo").disabled = !this.#app.history.canUndo;
    byId("redo").disabled = !this.#app.history.canRedo;
    for (const id of ["accept", "reject", "correct"]) byId(id).disabled = !this.selected;
  }

  #show(what, shown) {
    this.#app.sheet.look[what] = shown;
    this.#app.sheet.draw();
  }

  #showCounts() {
    const marks = this.#doc.prompts.filter((mark) => mark.object !== "ignore");
    const found = marks.map((mark) => this.#app.outlines.of(mark));
    const outlined = found.filter((one) => one?.outlines.length).length;
    const none = found.filter((one) => one && !one.outlines.length).length;
    byId("counts").textContent = `${marks.length} mark${marks.length === 1 ? "" : "s"}, ${outlined} outlined${none ? `, ${none} without an outline` : ""}`;
    const queue = this.#queue();
    const doubtful = queue.filter(({ outline }) => outline.look_at).length;
    const decided = Object.keys(this.#doc.decisions).length;
    byId("review-state").textContent = queue.length
      ? `${doubtful} below ${this.#app.info.look_at_below}, ${queue.length} left, ${decided} decided`
      : `Nothing to review${decided ? `, ${decided} decided` : ""}`;
    byId("next").disabled = byId("previous").disabled = !queue.length;
  }

  #showSelected() {
    const mark = this.selected;
    byId("selected").hidden = !mark;
    if (!mark) return;
    const found = this.#app.outlines.of(mark);
    const facts = [["Object", NAMES[mark.object]], ["Class", mark.class ?? "none"]];
    for (const one of found?.outlines ?? []) {
      const sure = one.sureness === null ? "" : `, sureness ${one.sureness.toFixed(2)}`;
      facts.push([NAMES[one.kind], `${one.area_um2.toFixed(1)} µm²${sure}`]);
    }
    for (const one of found?.rejections ?? []) facts.push(["No outline", one.reason]);
    if (this.#doc.decisions[mark.id]) facts.push(["Review", this.#doc.decisions[mark.id]]);
    byId("facts").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  }

  #showClasses() {
    const rows = this.#doc.classes.map((one, place) => this.#classRow(one.name, place, css(one.color), one.color));
    byId("classes").replaceChildren(this.#classRow(null, -1, "rgb(0, 200, 255)"), ...rows);
  }

  #classRow(name, place, shown, color) {
    const row = document.createElement("div");
    const button = document.createElement("button");
    const key = place < 0 ? "0" : place < 9 ? String(place + 1) : "";
    button.setAttribute("aria-pressed", String((this.#app.tools.className ?? null) === name));
    button.append(element("span", name ?? "No class"));
    if (key) {
      const shown = element("kbd", key);
      shown.setAttribute("aria-hidden", "true");
      button.append(shown);
      button.setAttribute("aria-keyshortcuts", key);
    }
    button.onclick = () => this.useClass(place);
    const picker = document.createElement("input");
    picker.type = "color";
    picker.value = hex(color ?? [0, 200, 255]);
    picker.disabled = place < 0;
    picker.setAttribute("aria-label", `Colour of ${name ?? "what has no class"}`);
    picker.onchange = () => this.#recolor(place, picker.value);
    row.append(picker, button);
    return row;
  }

  #recolor(place, value) {
    const classes = this.#doc.classes.map((one, at) => (at === place ? { ...one, color: numbers(value) } : one));
    this.#app.history.change({ ...this.#doc, classes });
  }

  #addClass(event) {
    event.preventDefault();
    const input = event.target.querySelector("input");
    const name = input.value.trim();
    if (!name || name.startsWith("Ignore") || this.#doc.classes.some((one) => one.name === name)) return;
    const color = numbers(NEW_COLORS[this.#doc.classes.length % NEW_COLORS.length]);
    input.value = "";
    this.#app.history.change({ ...this.#doc, classes: [...this.#doc.classes, { name, color }] });
    this.useClass(this.#doc.classes.length - 1);
  }
}

function legendEntry(limit, color) {
  const entry = element("span", limit === Infinity ? "1" : `< ${limit}`);
  const swatch = document.createElement("i");
  swatch.style.background = color;
  entry.prepend(swatch);
  return entry;
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

const hex = (color) => `#${color.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
const numbers = (value) => [1, 3, 5].map((place) => parseInt(value.slice(place, place + 2), 16));
