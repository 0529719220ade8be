// Loading prompts from files, and taking outlines away: as files of the browser, or where a run puts its results.

import { ask, send } from "./api.js";
import { question, tell, tellProblem } from "./dialogs.js";
import { inFile, merging, takingOver, toSend } from "./marks.js";

const ENDINGS = { outlines: ".outlines.geojson", prompts: ".prompts.geojson", asap: ".xml", table: ".csv" };
const CLICKS = ["nucleus", "cell", "cell+nucleus"];

export class Files {
  #app;

  constructor(app) {
    this.#app = app;
    const input = document.getElementById("file");
    document.getElementById("load").onclick = () => input.click();
    input.onchange = () => {
      for (const file of input.files) this.load(file);
      input.value = "";
    };
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      for (const file of event.dataTransfer.files) this.load(file);
    });
  }

  /** Add the prompts of a file; its points are what the chosen tool marks, or nuclei. */
  async load(file) {
    const { history, tools } = this.#app;
    const clicks = CLICKS.includes(tools.tool) ? tools.tool : "nucleus";
    const query = new URLSearchParams({ name: file.name, clicks });
    try {
      const loaded = await ask("POST", `/view/load?${query}`, { body: file });
      const before = history.doc.prompts.length;
      const merged = merging(history.doc, loaded);
      if (merged.prompts.length > before) history.change(merged);
      tell(`${file.name}: ${merged.prompts.length - before} new marks${leftAlone(loaded.left_alone)}`);
    } catch (error) {
      tellProblem(error);
    }
  }

  /** Outline everything once more, and hand the browser a file. */
  async export(as) {
    await this.#whenOutlined(async (document) => {
      const response = await send("POST", `/view/export?as=${as}`, { body: { document } });
      const link = window.document.createElement("a");
      link.href = URL.createObjectURL(await response.blob());
      link.download = this.#app.info.slide.replace(/\.[^.]*$/, "") + ENDINGS[as];
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    });
  }

  /** Outline everything once more, and put the results where a run puts them. */
  async saveResults() {
    await this.#whenOutlined(async (document) => {
      if (!document.prompts.length) {
        const answer = await question("Nothing is marked", "Earlier results would be replaced by none.", {
          stop: "Leave them",
          go: "Replace them",
        });
        if (answer === "stop") return;
      }
      const { path, outlines, remarks } = await ask("POST", "/view/results", { body: { document } });
      tell([`${outlines} outlines: ${path}`, ...remarks].join("; "));
    });
  }

  /** Save the marks into the project; where it has changed meanwhile, take that over first, if the user agrees. */
  async savePrompts() {
    const { history } = this.#app;
    try {
      const { doc } = history;
      const answer = await ask("POST", "/view/prompts", { body: { document: toSend(doc) } });
      inFile(doc);
      this.#app.saving.soon();
      const without = answer.left_out ? `, ${answer.left_out} of QuPath's left out` : "";
      const done = `${counted(answer.added, "mark")} added${without}: ${answer.path}`;
      const nothing = "The project has just these marks";
      tell([answer.added || answer.left_out ? done : nothing, ...answer.remarks].join("; "));
    } catch (error) {
      if (!error.changes) return tellProblem(error);
      const take = await question("The project has changed", `${told(error.changes)} since this page read it.`, {
        take: "Take that over and save",
        stop: "Do not save",
      });
      if (take === "stop") return;
      history.change(takingOver(history.doc, error.changes));
      await this.savePrompts();
    }
  }

  async #whenOutlined(work) {
    const { history, outlines } = this.#app;
    try {
      if (await outlines.askForAll()) await work(toSend(history.doc));
    } catch (error) {
      tellProblem(error);
    }
  }
}

const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** What has changed in a file, for the user. */
export function told({ new: added, gone }) {
  const parts = [added.length && `${counted(added.length, "mark")} new`, gone.length && `${counted(gone.length, "mark")} gone`];
  return parts.filter(Boolean).join(" and ");
}

function leftAlone(found) {
  const told = Object.entries(found).map(([what, count]) => `${count} ${what}`);
  return told.length ? `; left alone: ${told.join(", ")}` : "";
}
