// The document: marks, classes and decisions. It is never changed, only replaced, so that undo is going back to an
// earlier one, and a mark that is the same object is unchanged. Its `file` holds the marks as the file has them that
// the page was opened with; all documents that know the same state of the file share it.

export const IGNORE_CLASS = "Ignore*";
const MOST_STEPS = 500;

// QuPath's own first classes with their colours.
const CLASSES = [
  { name: "Tumor", color: [200, 0, 0] },
  { name: "Stroma", color: [70, 160, 70] },
  { name: "Immune cells", color: [160, 90, 160] },
  { name: "Necrosis", color: [50, 50, 50] },
  { name: "Other", color: [255, 200, 0] },
];
const UNCLASSIFIED = [0, 200, 255];
const IGNORED = [120, 120, 120];

export function emptyDocument() {
  return { prompts: [], classes: CLASSES, decisions: {}, pixel_size_um: null, file: { marks: new Map() } };
}

/** The document to begin with: the marks of the file that the page was opened with. */
export function documentOfFile(file) {
  const doc = merging(emptyDocument(), file);
  return { ...doc, file: { marks: byId(doc.prompts) } };
}

/** A document that was saved; `changed` has the ids of the marks that are not as the file had them. */
export function documentOfSaved({ changed, ...doc }) {
  const ids = new Set(changed ?? doc.prompts.map((mark) => mark.id));
  const marks = byId(doc.prompts.filter((mark) => !ids.has(mark.id)));
  const there = new Set(doc.prompts.map((mark) => mark.id));
  for (const id of ids) if (!there.has(id)) marks.set(id, null); // deleted, and not known any more
  return { ...doc, file: { marks } };
}

/** A document as the server takes it, with the ids of all marks that were added, changed or deleted. */
export function toSend({ file, ...doc }) {
  const left = new Map(file.marks);
  const changed = [];
  for (const mark of doc.prompts) {
    if (left.get(mark.id) !== mark) changed.push(mark.id);
    left.delete(mark.id);
  }
  return { ...doc, changed: [...changed, ...left.keys()] };
}

/** Note that the file has the marks of a document now. */
export function inFile(doc) {
  doc.file.marks = byId(doc.prompts);
}

/** Take over what has changed in the file: what is new there comes, what is gone there and untouched here goes. */
export function takingOver(doc, { new: added, gone, class_colors }) {
  const [fresh, ids] = [new Set(added.map((mark) => mark.id)), new Set(gone)];
  const left = without(doc, doc.prompts.filter(({ id }) => ids.has(id) || fresh.has(id)).map(({ id }) => id));
  const taken = merging(left, { prompts: added, class_colors });
  const marks = new Map(doc.file.marks);
  for (const id of gone) marks.delete(id);
  for (const mark of added) marks.set(mark.id, mark);
  return { ...taken, file: { marks } };
}

const byId = (marks) => new Map(marks.map((mark) => [mark.id, mark]));

export function newMark(object, strokes, className) {
  return { id: crypto.randomUUID(), object, class: object === "ignore" ? IGNORE_CLASS : className, strokes };
}

export function isClick(mark) {
  return mark.strokes.length === 1 && mark.strokes[0].length === 1;
}

/** Left, top, right and bottom of a mark, in slide pixels. */
export function boxOf(mark) {
  const xs = mark.strokes.flat().map(([x]) => x);
  const ys = mark.strokes.flat().map(([, y]) => y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

export function colorOf(doc, mark) {
  if (mark.object === "ignore") return IGNORED;
  return doc.classes.find((one) => one.name === mark.class)?.color ?? UNCLASSIFIED;
}

export function css([red, green, blue]) {
  return `rgb(${red}, ${green}, ${blue})`;
}

/** Round to 0.01 px, which is what files keep. */
export function rounded({ x, y }) {
  return [Math.round(x * 100) / 100, Math.round(y * 100) / 100];
}

export const adding = (doc, marks) => ({ ...doc, prompts: [...doc.prompts, ...marks] });

export function without(doc, ids) {
  const gone = new Set(ids);
  const decisions = Object.fromEntries(Object.entries(doc.decisions).filter(([id]) => !gone.has(id)));
  return { ...doc, prompts: doc.prompts.filter((mark) => !gone.has(mark.id)), decisions };
}

/** A mark with other strokes or another class, in the place of one: as in files, it is another one with an id of its own. */
export function changedMark({ id: _, source: __, ...mark }, change) {
  return { ...mark, ...change, id: crypto.randomUUID() };
}

/** Replace a mark by another one: what was decided of it no longer holds. */
export function replacing(doc, id, by) {
  const { [id]: _, ...decisions } = doc.decisions;
  return { ...doc, prompts: doc.prompts.map((mark) => (mark.id === id ? by : mark)), decisions };
}

export const deciding = (doc, id, decision) => ({ ...doc, decisions: { ...doc.decisions, [id]: decision } });

/** Add the marks of a file that are not there yet, and the colours of its classes. */
export function merging(doc, { prompts, class_colors }) {
  const known = new Set(doc.prompts.map((mark) => mark.id));
  const named = [...new Set([...Object.keys(class_colors), ...prompts.map((mark) => mark.class)])];
  const classes = [...doc.classes];
  for (const name of named.filter((one) => one && !one.startsWith("Ignore"))) {
    const place = classes.findIndex((one) => one.name === name);
    const color = class_colors[name] ?? classes[place]?.color ?? UNCLASSIFIED;
    if (place < 0) classes.push({ name, color });
    else classes[place] = { name, color };
  }
  return { ...adding(doc, prompts.filter((mark) => !known.has(mark.id))), classes };
}

/** Keeps the document and its earlier states, and tells listeners of each change: (now, before). */
export class History {
  #past = [];
  #future = [];
  #listeners = [];

  constructor(doc) {
    this.doc = doc;
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  change(doc) {
    this.#past.push(this.doc);
    if (this.#past.length > MOST_STEPS) this.#past.shift();
    this.#future = [];
    this.#show(doc);
  }

  undo() {
    if (!this.canUndo) return;
    this.#future.push(this.doc);
    this.#show(this.#past.pop());
  }

  redo() {
    if (!this.canRedo) return;
    this.#past.push(this.doc);
    this.#show(this.#future.pop());
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  #show(doc) {
    const before = this.doc;
    this.doc = doc;
    for (const listener of this.#listeners) listener(doc, before);
  }
}
