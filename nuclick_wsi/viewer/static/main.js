// Puts the page together: asks for what the server knows, then wires slide, marks, outlines, panels and keys.

import { ask, takeToken } from "./api.js";
import { askForPixelSize, askForToken, question, showHelp, showProgress, tell, tellProblem } from "./dialogs.js";
import { Files, told } from "./files.js";
import { HELP, wireKeys } from "./keys.js";
import { documentOfFile, documentOfSaved, History, takingOver } from "./marks.js";
import { wireMenu, wireToolbar } from "./menus.js";
import { Outlines } from "./outlines.js";
import { Panels } from "./panels.js";
import { Saving } from "./saving.js";
import { Sheet } from "./sheet.js";
import { openSlide, showScale, zoom } from "./slide.js";
import { Tools } from "./tools.js";

const byId = (id) => document.getElementById(id);

/** Ask for what the server knows of the slide, and for the token where it wants one. */
async function start() {
  takeToken();
  for (;;) {
    try {
      return await Promise.all([ask("GET", "/view/info"), ask("GET", "/view/document")]);
    } catch (error) {
      if (error.status !== 401) throw error;
      await askForToken(error);
    }
  }
}

/** The document to begin with: saved work, else the marks of the file that the page was opened with. */
function firstDocument(saved) {
  return saved.document ? documentOfSaved(saved.document) : documentOfFile(saved.file);
}

function build(info, saved) {
  const history = new History(firstDocument(saved));
  const osd = openSlide(byId("slide"), info);
  const app = { info, history, osd };
  app.outlines = new Outlines(history, {
    changed: () => app.panels.update(),
    failed: tellProblem,
    progress: (done, total) => showProgress(done, total, () => app.outlines.cancel()),
  });
  app.sheet = new Sheet(byId("sheet"), osd, history, app.outlines);
  app.tools = new Tools(osd, history, app.sheet, (id) => app.panels.select(id));
  app.panels = new Panels(app);
  app.files = new Files(app);
  app.saving = new Saving(history, saved.revision, byId("save-state"));
  const scale = showScale(byId("scale"), osd, () => info.pixel_size_um?.[0] ?? history.doc.pixel_size_um);
  history.onChange(scale);
  return app;
}

function wireButtons(app) {
  const { history, tools, files, osd } = app;
  for (const button of byId("tools").children) {
    button.onclick = () => tools.choose(button.dataset.tool);
    const kinds = { ignore: null, move: null, select: null, "cell+nucleus": ["cell", "nucleus"] }[button.dataset.tool];
    const needed = kinds === undefined ? [button.dataset.tool] : kinds ?? [];
    button.hidden = needed.some((kind) => !app.info.models.some((model) => model.kind === kind));
  }
  byId("undo").onclick = () => history.undo();
  byId("redo").onclick = () => history.redo();
  byId("help").onclick = () => showHelp(HELP);
  byId("save-results").onclick = () => files.saveResults();
  byId("save-prompts").onclick = () => files.savePrompts();
  byId("save-prompts").hidden = !app.info.saves_prompts;
  byId("zoom-in").onclick = () => zoom(osd, 1.6);
  byId("zoom-out").onclick = () => zoom(osd, 1 / 1.6);
  byId("zoom-all").onclick = () => osd.viewport.goHome();
  wireMenu(byId("export"), byId("export-menu"), (as) => files.export(as));
  wireToolbar(byId("tools"));
}

/** Ask what to begin with, where there is earlier work; and what of the file, where that has changed since. */
async function offerSaved(app, saved, isReload) {
  const { history } = app;
  const marks = history.doc.prompts.length;
  if (!saved.document || (!saved.changes && (isReload || !marks))) return;
  const when = new Date(saved.saved_at).toLocaleString();
  const changed = saved.changes ? ` In ${saved.opened_with}, ${told(saved.changes)} since.` : "";
  const from = saved.opened_with ? `the marks of ${saved.opened_with} as they are` : "an empty slide";
  const goOn = saved.changes ? { take: "Go on, and take over what has changed", go: "Go on without" } : { go: "Go on" };
  const text = `There are ${marks} marks of ${when}.${changed}`;
  const answer = await question("Go on where you were?", text, { ...goOn, anew: `Begin with ${from}` }, "go");
  if (answer === "take") history.change(takingOver(history.doc, saved.changes));
  if (answer === "anew") history.change({ ...documentOfFile(saved.file), pixel_size_um: history.doc.pixel_size_um });
  if (answer !== "go") tell("What was there comes back with Undo.");
}

async function run() {
  const [info, saved] = await start();
  byId("slide-name").textContent = info.slide;
  document.title = `${info.slide} – nuclick-wsi`;
  const app = build(info, saved);
  window.nuclick = app; // for the console, and for tests
  wireButtons(app);
  wireKeys(app);
  app.tools.choose("nucleus");
  app.osd.addOnceHandler("tile-drawn", () => (document.body.dataset.ready = String(performance.now())));
  app.osd.addHandler("tile-load-failed", () => tell("A part of the slide cannot be read.", { wrong: true }));
  for (const remark of info.remarks) tell(`Note: ${remark}.`);
  if (saved.file_problem) tell(saved.file_problem, { wrong: true });
  const isReload = performance.getEntriesByType("navigation")[0]?.type === "reload";
  await offerSaved(app, saved, isReload);
  if (info.pixel_size_um === null && app.history.doc.pixel_size_um === null) {
    app.history.change({ ...app.history.doc, pixel_size_um: await askForPixelSize() });
  } else {
    await app.outlines.askForAll();
  }
}

run().catch(tellProblem);
