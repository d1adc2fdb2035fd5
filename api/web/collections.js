// The collections: which one answers, what is in it, and how far its indexing has come.

import { askForCollection } from "./dialogs.js";
import { element } from "./element.js";

const POLL_MS = 2500;
const REMEMBERED = "causerie.collection";
const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");

function plural(count, noun) {
  return `${number.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function remembered() {
  try {
    return localStorage.getItem(REMEMBERED);
  } catch {
    return null;
  }
}

function remember(name) {
  try {
    localStorage.setItem(REMEMBERED, name);
  } catch {
    // Without storage the default collection is chosen at the next visit.
  }
}

export class Collections {
  #api;
  #on;
  #known = [];
  #selected = null;
  #isChosen = false; // by the user or by an opened conversation, not by default
  #timer = 0;
  #picker = byId("collection-picker");

  /** `on`: `picked(name or null)` by the user; `changed(facts or null)` when something about it changed. */
  constructor({ api, on }) {
    this.#api = api;
    this.#on = on;
    this.#picker.addEventListener("change", () => this.#pick(this.#picker.value || null));
    byId("new-collection").addEventListener("click", () => this.create());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#poll();
    });
  }

  /** The name of the collection that answers; null is plain chat. */
  get selected() {
    return this.#selected;
  }

  /** Show `name` as the collection of the conversation on the page. */
  select(name) {
    this.#selected = name;
    this.#isChosen = true;
    this.#draw();
  }

  async refresh() {
    this.#take(await this.#api.collections());
    if (!this.#isChosen) {
      const names = this.#known.map((collection) => collection.name);
      const wanted = remembered();
      const name = wanted === "" || names.includes(wanted) ? wanted : names.includes("python") ? "python" : names[0];
      this.#selected = name || null;
    }
    this.#draw();
  }

  /** Ask for a new collection and pick it; resolve to its name, or to null. */
  async create() {
    const created = await askForCollection((name) => this.#api.createCollection(name));
    if (!created) return null;
    this.#known = [...this.#known, created];
    this.#pick(created.name);
    return created.name;
  }

  #pick(name) {
    remember(name ?? "");
    this.select(name);
    this.#on.picked(name);
  }

  #take(collections) {
    this.#known = collections;
    clearTimeout(this.#timer);
    // An empty list means that the first collection is about to appear.
    const isMoving = collections.length === 0 || collections.some((collection) => collection.indexing);
    if (isMoving) this.#timer = setTimeout(() => this.#poll(), POLL_MS);
  }

  async #poll() {
    if (document.hidden) return;
    try {
      const collections = await this.#api.collections({ background: true });
      const isFirst = this.#known.length === 0 && collections.length > 0;
      this.#take(collections);
      if (isFirst && !this.#isChosen) {
        await this.refresh();
        this.#on.picked(this.#selected);
      }
      this.#draw();
    } catch {
      this.#take(this.#known); // a missed poll is not worth a message; the next one may do
    }
  }

  #draw() {
    const names = this.#known.map((collection) => collection.name);
    // A conversation may outlive its collection.
    if (this.#selected !== null && !names.includes(this.#selected)) names.push(this.#selected);
    const options = [...names.map((name) => [name, name]), ["", "No collection: plain chat"]];
    const current = [...this.#picker.options].map((option) => option.value);
    // By their number too: no option at all is not the empty one of plain chat.
    if (current.length !== options.length || current.some((value, i) => value !== options[i][0])) {
      this.#picker.replaceChildren(...options.map(([value, text]) => element("option", { value, text })));
    }
    this.#picker.value = this.#selected ?? "";
    const facts = this.#known.find((collection) => collection.name === this.#selected) ?? null;
    this.#drawCard(facts);
    this.#drawIndexing(facts?.indexing ?? null);
    this.#on.changed(facts);
  }

  #drawCard(facts) {
    byId("collection-name").textContent = this.#selected ?? "Plain chat";
    byId("collection-facts").textContent = facts
      ? `${plural(facts.num_documents, "document")}, ${plural(facts.num_chunks, "passage")}`
      : this.#selected === null
        ? "No source is searched."
        : "This collection is not there (any more).";
  }

  #drawIndexing(indexing) {
    byId("indexing").hidden = indexing === null;
    if (indexing === null) return;
    const { phase, done, total, label } = indexing;
    const count = total > 0 ? `${number.format(done)} of ${number.format(total)}` : "";
    byId("indexing-words").textContent = `Still indexing ${[label || phase, count].filter(Boolean).join(", ")}. You can ask meanwhile.`;
    const bar = byId("indexing-bar");
    if (total > 0) {
      bar.max = total;
      bar.value = done;
    } else bar.removeAttribute("value");
  }
}
