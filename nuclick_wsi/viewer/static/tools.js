// What mouse, pen, finger and keyboard do on the slide, by the tool that is chosen.

import { adding, boxOf, changedMark, isClick, newMark, replacing, rounded } from "./marks.js";
import { middle, slidePosition } from "./slide.js";

const HINTS = {
  move: "Drag to move, wheel to zoom, click an outline to select it",
  nucleus: "Click inside nuclei",
  cell: "Click inside cells",
  "cell+nucleus": "Click inside nuclei: their cells are outlined too",
  gland: "Draw a line through a gland; Shift adds a line to the last one",
  ignore: "Click what does not belong to an outline",
  select: "Click an outline to select it, drag a mark to move it",
};
const CORRECTING = "Click a wrong part to take it away, or where the object is to move its mark";
const FURTHER = "Draw one more line through this gland";
const BY_KEYS = "Enter sets the next position; Enter again at the same place ends the line, Esc drops it";
const STEP = 3; // screen pixels between the positions of a line
const SHORTEST = 8; // screen pixels below which a line was meant as a click

export class Tools {
  tool = "nucleus";
  className = null;
  correcting = null;
  #osd;
  #history;
  #sheet;
  #selected;
  #line = null;
  #moving = null;
  #further = null; // the gland that the next line is added to
  #byKeys = []; // the positions so far of a line that is made with the keyboard
  #space = false;

  /** @param selected called with the id of the mark that was chosen, or null */
  constructor(osd, history, sheet, selected) {
    this.#osd = osd;
    this.#history = history;
    this.#sheet = sheet;
    this.#selected = selected;
    osd.addHandler("canvas-press", (event) => this.#press(event));
    osd.addHandler("canvas-drag", (event) => this.#drag(event));
    osd.addHandler("canvas-drag-end", (event) => this.#dragEnd(event));
    osd.addHandler("canvas-pinch", () => this.#forget());
    osd.addHandler("canvas-click", (event) => event.quick && this.#click(slidePosition(osd, event.position)));
    osd.addHandler("canvas-key", (event) => (event.preventDefaultAction = true));
    addEventListener("keydown", (event) => event.code === "Space" && (this.#space = true));
    addEventListener("keyup", (event) => event.code === "Space" && (this.#space = false));
  }

  choose(tool) {
    this.tool = tool;
    this.#further = null;
    this.#dropLine();
    this.correct(null);
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.setAttribute?.("aria-pressed", String(button.dataset.tool === tool));
    }
    document.querySelector("main").dataset.tool = tool;
  }

  /** Have the next click correct a mark; null for none. */
  correct(mark) {
    this.correcting = mark;
    const main = document.querySelector("main");
    if (mark) main.dataset.correcting = "";
    else delete main.dataset.correcting;
    document.getElementById("correct").setAttribute("aria-pressed", String(mark !== null));
    this.#hint();
  }

  #hint() {
    const text = this.correcting ? CORRECTING : this.#further ? FURTHER : HINTS[this.tool];
    document.getElementById("hint").textContent = text;
  }

  /** Do in the middle of the screen what a click does: the keyboard's way. A line is made of positions, one each time. */
  clickMiddle() {
    const position = middle(this.#osd);
    if (this.tool !== "gland" || this.correcting) return this.#click(position);
    const [x, y] = rounded(position);
    const [lastX, lastY] = this.#byKeys.at(-1) ?? [];
    if (x !== lastX || y !== lastY) {
      if (this.#isOnSlide(position)) this.#byKeys.push([x, y]);
      this.#showLine(this.#byKeys);
    } else if (this.#byKeys.length > 1) {
      this.#addLine(this.#byKeys, false);
      this.#dropLine();
    }
  }

  /** Forget a line that is being made with the keyboard; false where there is none. */
  #dropLine() {
    const was = this.#byKeys.length;
    this.#byKeys = [];
    if (was) this.#showLine(null);
    return was > 0;
  }

  /** Let go of what was begun; false where nothing was. */
  letGo() {
    const was = this.correcting ?? this.#further;
    this.#further = null;
    this.correct(null);
    return this.#dropLine() || was !== null;
  }

  #showLine(positions) {
    this.#sheet.look.line = positions;
    this.#sheet.draw();
    if (!positions) this.#hint();
    else document.getElementById("hint").textContent = BY_KEYS;
  }

  #click(position) {
    if (this.correcting) this.#correctAt(position);
    else if (this.tool === "move" || this.tool === "select") this.#selected(this.#sheet.under(position)[0] ?? null);
    else if (this.tool !== "gland" && this.#isOnSlide(position)) {
      this.#history.change(adding(this.#history.doc, [newMark(this.tool, [[rounded(position)]], this.className)]));
    }
  }

  /** Take a part away where the click is in the outline, else move the mark to the click; a line gets one more. */
  #correctAt(position) {
    const mark = this.#history.doc.prompts.find(({ id }) => id === this.correcting.id);
    this.correct(null);
    if (!mark) return;
    const { doc } = this.#history;
    if (this.#sheet.under(position).includes(mark.id)) {
      const changed = adding(doc, [newMark("ignore", [[rounded(position)]])]);
      const { [mark.id]: _, ...decisions } = changed.decisions;
      this.#history.change({ ...changed, decisions });
    } else if (isClick(mark)) {
      this.#change(mark, { strokes: [[rounded(position)]] });
    } else {
      this.choose("gland");
      this.#further = mark.id;
      this.#hint();
    }
  }

  #change(mark, how) {
    const changed = changedMark(mark, how);
    const isSelected = this.#sheet.look.selected === mark.id;
    this.#history.change(replacing(this.#history.doc, mark.id, changed));
    if (isSelected) this.#selected(changed.id);
  }

  #isOnSlide({ x, y }) {
    const { x: width, y: height } = this.#osd.world.getItemAt(0).getContentSize();
    return x >= 0 && y >= 0 && x < width && y < height;
  }

  #press(event) {
    this.#forget();
    if (this.#space || this.correcting) return;
    const position = slidePosition(this.#osd, event.position);
    if (this.tool === "gland") this.#line = { screen: [event.position], positions: [rounded(position)] };
    if (this.tool === "select") this.#moving = this.#clickUnder(position);
  }

  /** The mark of a click that is under a position, by itself and not by its outline. */
  #clickUnder(position) {
    const id = this.#sheet.under(position)[0];
    const mark = this.#history.doc.prompts.find((one) => one.id === id);
    if (!mark || !isClick(mark)) return null;
    const [x, y] = boxOf(mark);
    const reach = this.#osd.world.getItemAt(0).viewportToImageZoom(this.#osd.viewport.getZoom(true));
    return Math.hypot(x - position.x, y - position.y) * reach < 9 ? { mark, to: null } : null;
  }

  #drag(event) {
    if (!this.#line && !this.#moving) return;
    event.preventDefaultAction = true;
    const position = rounded(slidePosition(this.#osd, event.position));
    if (this.#moving) {
      this.#moving.to = position;
      this.#sheet.look.line = [this.#moving.mark.strokes[0][0], position];
    } else if (this.#line.screen.at(-1).distanceTo(event.position) >= STEP) {
      this.#line.screen.push(event.position);
      this.#line.positions.push(position);
      this.#sheet.look.line = this.#line.positions;
    }
    this.#sheet.draw();
  }

  #dragEnd(event) {
    const [line, moving] = [this.#line, this.#moving];
    this.#forget();
    if (moving?.to) this.#change(moving.mark, { strokes: [[moving.to]] });
    if (line && longest(line.screen) >= SHORTEST) this.#addLine(line.positions, event.shift);
  }

  #addLine(positions, isFurther) {
    const { doc } = this.#history;
    const further = doc.prompts.find((mark) => mark.id === this.#further);
    const last = further ?? (isFurther && doc.prompts.findLast((mark) => mark.object === "gland"));
    this.#further = null;
    if (last) this.#change(last, { strokes: [...last.strokes, positions] });
    else this.#history.change(adding(doc, [newMark("gland", [positions], this.className)]));
    this.#hint();
  }

  #forget() {
    this.#line = this.#moving = null;
    if (this.#sheet.look.line) {
      this.#sheet.look.line = null;
      this.#sheet.draw();
    }
  }
}

/** How far a line goes from where it began, in screen pixels. */
function longest(screen) {
  return Math.max(...screen.map((position) => screen[0].distanceTo(position)));
}
