// The transparent sheet over the slide on which marks and outlines are drawn.

import { colorOf, css, isClick } from "./marks.js";

// Orange is unsure and blue is sure: colours that the colour-blind tell apart, and that stand out on pink and purple.
export const SURENESS = [
  [0.6, "rgb(200, 40, 0)"],
  [0.7, "rgb(245, 105, 0)"],
  [0.8, "rgb(255, 185, 40)"],
  [0.9, "rgb(70, 175, 235)"],
  [Infinity, "rgb(0, 80, 190)"],
];
const MANY = 3000; // outlines in sight from which on halos are left out

export function colorOfSureness(sureness) {
  return sureness === null ? "rgb(120, 120, 120)" : SURENESS.find(([limit]) => sureness < limit)[1];
}

export class Sheet {
  #canvas;
  #osd;
  #history;
  #outlines;
  #asked = false;
  look = { outlines: true, marks: true, bySureness: false, selected: null, line: null };

  constructor(canvas, osd, history, outlines) {
    this.#canvas = canvas;
    this.#osd = osd;
    this.#history = history;
    this.#outlines = outlines;
    osd.canvas.append(canvas); // below the overview and other controls
    for (const event of ["update-viewport", "resize", "open"]) osd.addHandler(event, () => this.draw());
  }

  /** Draw before the next frame. */
  draw() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#drawNow();
    });
  }

  /** The ids of the marks under a position in slide pixels, the best first: by outline, or by the mark itself. */
  under({ x, y }) {
    const reach = 9 / this.#place().scale;
    const near = this.#history.doc.prompts
      .map((mark) => ({ id: mark.id, far: distance(mark, x, y) }))
      .filter(({ far }) => far < reach)
      .sort((one, other) => one.far - other.far);
    const context = this.#canvas.getContext("2d");
    context.resetTransform();
    const inside = [...this.#outlines.all()]
      .filter(({ outline }) => within(outline.box, x, y) && context.isPointInPath(outline.path, x, y, "evenodd"))
      .sort((one, other) => one.outline.area_um2 - other.outline.area_um2);
    return [...new Set([...near.map(({ id }) => id), ...inside.map(({ mark }) => mark.id)])];
  }

  #place() {
    const item = this.#osd.world.getItemAt(0);
    if (!item) return { scale: 1, x: 0, y: 0 };
    const origin = item.imageToViewerElementCoordinates(new OpenSeadragon.Point(0, 0));
    const far = item.imageToViewerElementCoordinates(new OpenSeadragon.Point(1000, 0));
    return { scale: (far.x - origin.x) / 1000, x: origin.x, y: origin.y };
  }

  #drawNow() {
    const canvas = this.#canvas;
    const dense = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * dense)) canvas.width = Math.round(width * dense);
    if (canvas.height !== Math.round(height * dense)) canvas.height = Math.round(height * dense);
    const context = canvas.getContext("2d");
    context.resetTransform();
    context.clearRect(0, 0, canvas.width, canvas.height);
    const { scale, x, y } = this.#place();
    const seen = [-x / scale, -y / scale, (width - x) / scale, (height - y) / scale];
    context.setTransform(scale * dense, 0, 0, scale * dense, x * dense, y * dense);
    context.lineJoin = "round";
    if (this.look.outlines) this.#drawOutlines(context, scale, seen);
    if (this.look.marks) for (const mark of this.#history.doc.prompts) this.#drawMark(context, mark, 1 / scale);
    if (this.look.line) stroke(context, linesOf([this.look.line]), 1 / scale, "rgb(0, 110, 220)", 3);
  }

  #drawOutlines(context, scale, seen) {
    const { doc } = this.#history;
    const shown = [...this.#outlines.all()].filter(({ outline }) => meet(outline.box, seen));
    const few = shown.length < MANY;
    for (const { mark, outline } of shown) {
      const color = this.look.bySureness ? colorOfSureness(outline.sureness) : css(colorOf(doc, mark));
      const isChosen = mark.id === this.look.selected;
      context.globalAlpha = doc.decisions[mark.id] === "rejected" ? 0.45 : 1;
      if (isChosen) {
        context.fillStyle = color.replace("rgb", "rgba").replace(")", ", 0.22)");
        context.fill(outline.path, "evenodd");
      }
      context.setLineDash(doc.decisions[mark.id] === "rejected" ? [5 / scale, 4 / scale] : []);
      stroke(context, outline.path, 1 / scale, color, isChosen ? 3.2 : 2, few);
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  #drawMark(context, mark, pixel) {
    const found = this.#outlines.of(mark);
    const failed = found && !found.outlines.length && mark.object !== "ignore";
    const color = failed ? "rgb(200, 0, 0)" : css(colorOf(this.#history.doc, mark));
    if (!isClick(mark)) {
      const ignored = mark.object === "ignore";
      stroke(context, linesOf(mark.strokes), pixel, color, ignored ? 2 : 2.6);
      return;
    }
    const [[x, y]] = mark.strokes[0];
    const size = (mark.id === this.look.selected ? 5.5 : 3.8) * pixel;
    const path = new Path2D();
    if (mark.object === "ignore" || failed) {
      path.moveTo(x - size, y - size);
      path.lineTo(x + size, y + size);
      path.moveTo(x + size, y - size);
      path.lineTo(x - size, y + size);
      stroke(context, path, pixel, failed ? color : "rgb(40, 40, 40)", 2.2);
      return;
    }
    path.arc(x, y, size, 0, 2 * Math.PI);
    context.fillStyle = found ? color : "rgb(255, 255, 255)"; // hollow until its outline is there
    context.fill(path);
    context.lineWidth = 1.6 * pixel;
    context.strokeStyle = found ? "rgb(255, 255, 255)" : color;
    context.stroke(path);
  }
}

/** Draw a line with a light halo, so that it shows on any tissue; widths are in screen pixels. */
function stroke(context, path, pixel, color, width, halo = true) {
  if (halo) {
    context.lineWidth = (width + 2.4) * pixel;
    context.strokeStyle = "rgba(255, 255, 255, 0.75)";
    context.stroke(path);
  }
  context.lineWidth = width * pixel;
  context.strokeStyle = color;
  context.stroke(path);
}

function linesOf(strokes) {
  const path = new Path2D();
  for (const positions of strokes) {
    positions.forEach(([x, y], place) => (place ? path.lineTo(x, y) : path.moveTo(x, y)));
  }
  return path;
}

const within = ([left, top, right, bottom], x, y) => x >= left && x <= right && y >= top && y <= bottom;
const meet = (one, other) => one[0] <= other[2] && one[2] >= other[0] && one[1] <= other[3] && one[3] >= other[1];

/** How far a position is from a mark, in slide pixels. */
function distance(mark, x, y) {
  let nearest = Infinity;
  for (const positions of mark.strokes) {
    positions.forEach(([x1, y1], place) => {
      const [x0, y0] = positions[Math.max(0, place - 1)];
      const [dx, dy] = [x1 - x0, y1 - y0];
      const along = Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy || 1)));
      nearest = Math.min(nearest, Math.hypot(x - x0 - along * dx, y - y0 - along * dy));
    });
  }
  return nearest;
}
