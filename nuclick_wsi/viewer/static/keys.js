// The keys: what each does, and where it is taken.

import { showHelp } from "./dialogs.js";
import { move, zoom } from "./slide.js";

const KEYS = "nuclick-keys"; // where the browser remembers whether keys work everywhere
const byId = (id) => document.getElementById(id);

export const HELP = [
  ["V", "move the slide"],
  ["N  C  B", "click nuclei, cells, cells with their nucleus"],
  ["G", "draw a line through a gland"],
  ["I", "ignore: what does not belong to an outline"],
  ["S", "select; drag a mark to move it"],
  ["Delete", "delete the selected mark with its outline"],
  ["1 to 9, 0", "class of new marks and of the selected one; 0 for none"],
  ["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"],
  ["R, P", "review: next, previous"],
  ["A, X, F", "accept, reject, correct by the next click"],
  ["O, M, U", "outlines, marks, colour by sureness on or off"],
  ["Arrows, + -, Home", "move, with Shift a little; zoom, whole slide"],
  ["Enter", "mark the middle of the screen; for a gland, a position of its line, which Enter at the same place ends"],
  ["L, E", "load prompts, export"],
  ["Ctrl+S", "save results"],
  ["Ctrl+Shift+S", "save prompts into the QuPath project that the page was opened with"],
  ["Esc", "let go of what is selected"],
];

function keysOf(app) {
  const { history, tools, panels, files, osd } = app;
  const keys = {
    v: () => tools.choose("move"), n: () => tools.choose("nucleus"), c: () => tools.choose("cell"),
    b: () => tools.choose("cell+nucleus"), g: () => tools.choose("gland"), i: () => tools.choose("ignore"),
    s: () => tools.choose("select"), r: () => panels.step(1), p: () => panels.step(-1),
    a: () => panels.decide("accepted"), x: () => panels.decide("rejected"), f: () => panels.correct(),
    o: () => panels.toggle("outlines"), m: () => panels.toggle("marks"),
    u: () => panels.colorBy(!app.sheet.look.bySureness), l: () => byId("load").click(), e: () => byId("export").click(),
    "?": () => showHelp(HELP), "+": () => zoom(osd, 1.6), "=": () => zoom(osd, 1.6), "-": () => zoom(osd, 1 / 1.6),
    home: () => osd.viewport.goHome(), delete: () => panels.deleteSelected(), backspace: () => panels.deleteSelected(),
    escape: () => tools.letGo() || panels.select(null),
    arrowleft: ({ shiftKey }) => move(osd, -1, 0, shiftKey), arrowright: ({ shiftKey }) => move(osd, 1, 0, shiftKey),
    arrowup: ({ shiftKey }) => move(osd, 0, -1, shiftKey), arrowdown: ({ shiftKey }) => move(osd, 0, 1, shiftKey),
    "ctrl+z": () => history.undo(), "ctrl+shift+z": () => history.redo(), "ctrl+y": () => history.redo(),
    "ctrl+s": () => files.saveResults(), "ctrl+shift+s": () => app.info.saves_prompts && files.savePrompts(),
  };
  for (let digit = 0; digit < 10; digit++) keys[digit] = () => panels.useClass(digit - 1);
  return keys;
}

export function wireKeys(app) {
  const keys = keysOf(app);
  const main = document.querySelector("main");
  const everywhere = byId("keys-everywhere");
  everywhere.checked = localStorage.getItem(KEYS) !== "on the slide";
  everywhere.onchange = () => localStorage.setItem(KEYS, everywhere.checked ? "everywhere" : "on the slide");
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.altKey || event.target.matches("input:not([type=checkbox])")) return;
    const withControl = event.ctrlKey || event.metaKey;
    if (!withControl && !everywhere.checked && !byId("slide").contains(event.target)) return;
    const name = (withControl ? `ctrl+${event.shiftKey ? "shift+" : ""}` : "") + event.key.toLowerCase();
    const onSlide = byId("slide").contains(document.activeElement) || document.activeElement === document.body;
    if (event.key === "Enter" && onSlide) app.tools.clickMiddle();
    else if (keys[name]) keys[name](event);
    else return;
    event.preventDefault();
    if (event.key.startsWith("Arrow") || event.key === "Enter") main.dataset.keyboard = "";
  });
  addEventListener("pointermove", () => delete main.dataset.keyboard);
}
