// Adding files to a collection: by button or by dropping them, one row for each with what became of it.

import { button, element, icon } from "./element.js";

const byId = (id) => document.getElementById(id);
const PHASES = { read: "Reading", embed: "Embedding", store: "Storing" };
const OUTCOMES = { added: "Added", updated: "Updated", unchanged: "Unchanged, already there", failed: "Not added" };

function outcomeWords({ outcome, reason, num_chunks: numChunks }) {
  const words = OUTCOMES[outcome] ?? outcome;
  if (reason) return `${words}: ${reason}`;
  if (!numChunks || outcome === "unchanged") return words;
  return `${words}, ${numChunks} ${numChunks === 1 ? "passage" : "passages"}`;
}

/** One file on its way. */
class UploadRow {
  #stopping = new AbortController();
  #status = element("span", { class: "upload-status", text: "Waiting" });
  #bar = element("progress", { max: "1", value: "0" });
  #remove;

  constructor(name) {
    this.#bar.setAttribute("aria-label", `Progress of ${name}`);
    this.#remove = button({
      name: "close",
      label: `Cancel ${name}`,
      onClick: () => {
        if (this.node.dataset.outcome) this.node.remove();
        else this.#stopping.abort();
      },
    });
    this.node = element(
      "li",
      { class: "upload", "data-testid": "upload-row", data: { name } },
      icon("file"),
      element("span", { class: "upload-words" }, element("span", { class: "upload-name", text: name }), this.#status),
      this.#bar,
      this.#remove,
    );
  }

  get signal() {
    return this.#stopping.signal;
  }

  showBytes(sent, total) {
    this.#status.textContent = sent < total ? `Sending, ${Math.floor((100 * sent) / total)} %` : "Sent";
    this.#bar.value = total ? sent / total : 1;
  }

  showProgress({ phase, done, total }) {
    const words = PHASES[phase] ?? phase;
    this.#status.textContent = total > 1 ? `${words}, ${done} of ${total}` : words;
    if (total > 0) this.#bar.value = done / total;
    else this.#bar.removeAttribute("value");
  }

  finish(outcome, words) {
    this.node.dataset.outcome = outcome;
    this.node.querySelector(".icon").replaceWith(icon(outcome === "failed" ? "alert" : "done"));
    this.#status.textContent = words;
    this.#bar.hidden = true;
    this.#remove.setAttribute("aria-label", `Dismiss ${this.node.dataset.name}`);
    this.#remove.title = "Dismiss";
    byId("announcer").textContent = `${this.node.dataset.name}: ${words}`;
  }
}

export class Uploads {
  #api;
  #collections;
  #queue = Promise.resolve(); // one file at a time: the server embeds one at a time as well
  #input = byId("upload-input");
  #rows = byId("uploads");

  constructor({ api, collections }) {
    this.#api = api;
    this.#collections = collections;
    for (const id of ["add-files", "attach"]) byId(id).addEventListener("click", () => this.#choose());
    this.#input.addEventListener("change", () => {
      const files = [...this.#input.files];
      this.#input.value = ""; // choosing the same file again is a change again
      this.add(files);
    });
    this.#listenForDrops();
  }

  async #choose() {
    if (await this.#target()) this.#input.click();
  }

  async #target() {
    return this.#collections.selected ?? (await this.#collections.create());
  }

  /** Upload `files` into the collection on the page; without one, ask for a new one first. */
  async add(files) {
    if (files.length === 0) return;
    const collection = await this.#target();
    if (collection === null) return;
    this.tidy();
    for (const file of files) {
      const row = new UploadRow(file.name);
      this.#rows.append(row.node);
      this.#queue = this.#queue.then(() => this.#upload(collection, file, row));
    }
    await this.#queue;
    await this.#collections.refresh().catch(() => {});
  }

  /** Remove the rows of files that are done; a failure stays until it is dismissed. */
  tidy() {
    for (const row of this.#rows.querySelectorAll("[data-outcome]:not([data-outcome=failed])")) row.remove();
  }

  async #upload(collection, file, row) {
    try {
      const report = await this.#api.upload({
        collection,
        file,
        signal: row.signal,
        onBytes: (sent, total) => row.showBytes(sent, total),
        onProgress: (event) => row.showProgress(event),
      });
      row.finish(report.outcome, outcomeWords(report));
    } catch (error) {
      row.finish("failed", error.name === "AbortError" ? "Cancelled" : error.message);
    }
  }

  #listenForDrops() {
    const zone = byId("dropzone");
    let depth = 0; // every element under the pointer reports its own enter and leave
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    const show = (isOver) => {
      zone.hidden = !isOver;
      if (!isOver) depth = 0;
    };
    addEventListener("dragenter", (event) => {
      if (!hasFiles(event)) return;
      depth += 1;
      const { selected } = this.#collections;
      byId("dropzone-words").textContent = selected ? `Drop to add to ${selected}` : "Drop to add to a new collection";
      show(true);
    });
    addEventListener("dragleave", (event) => {
      if (!hasFiles(event)) return;
      depth -= 1;
      if (depth <= 0) show(false);
    });
    addEventListener("dragover", (event) => {
      if (hasFiles(event)) event.preventDefault();
    });
    addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      show(false);
      this.#drop([...event.dataTransfer.items].filter((item) => item.kind === "file"));
    });
  }

  #drop(items) {
    const isFolder = (item) => item.webkitGetAsEntry?.()?.isDirectory ?? false;
    for (const item of items.filter(isFolder)) {
      const row = new UploadRow(item.webkitGetAsEntry().name);
      this.#rows.append(row.node);
      row.finish("failed", "This is a folder. Drop the files in it, or use: python -m api ingest FOLDER");
    }
    this.add(items.filter((item) => !isFolder(item)).map((item) => item.getAsFile()));
  }
}
