// The search page: a query in, passages with their explanation out. The address holds the search.

import { Api } from "./api.js";
import { askForKey } from "./dialogs.js";
import { element } from "./element.js";
import { explanationOf } from "./search_explanation.js";
import { hitOf } from "./search_hit.js";
import { SourcePanel } from "./source_panel.js";
import { listenToTheme } from "./theme_toggle.js";

const READY_POLL_MS = 1200;
const REMEMBERED = "causerie.collection"; // what the chat page answers from
const byId = (id) => document.getElementById(id);
const api = new Api({ askForKey });
const source = new SourcePanel({
  api,
  onToggle: (isOpen) => document.body.classList.toggle("source-open", isOpen),
});
let running = null;

/** Return the search that an address asks for; what it leaves out is as the form has it at first. */
export function readAddress(query) {
  const wish = new URLSearchParams(query);
  const k = Number(wish.get("k"));
  return {
    text: wish.get("q") ?? "",
    collection: wish.get("collection") ?? "",
    lanes: ["dense", "terms"].includes(wish.get("lanes")) ? wish.get("lanes") : "dense,terms",
    k: Number.isInteger(k) && k >= 1 && k <= 100 ? k : 5,
  };
}

function wishOfForm() {
  return {
    text: byId("search-query").value.trim(),
    collection: byId("search-collection").value,
    lanes: byId("search-form").elements.lanes.value,
    k: Number(byId("search-k").value),
  };
}

function fillForm({ text, collection, lanes, k }) {
  byId("search-query").value = text;
  byId("search-form").elements.lanes.value = lanes;
  byId("search-k").value = k;
  const picker = byId("search-collection");
  const names = [...picker.options].map((option) => option.value);
  if (names.includes(collection)) picker.value = collection;
}

async function search(wish) {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  // The last passages are those of another question; they must not stand under this one.
  byId("search-results").hidden = true;
  byId("search-error").hidden = true;
  byId("search-intro").hidden = true;
  source.close();
  setSearching(true);
  try {
    const { text: query, collection, lanes, k } = wish;
    const question = { query, k, lanes: lanes.split(","), explain: true };
    show(await api.search(collection, question, { signal }), wish);
  } catch (error) {
    if (error.name !== "AbortError") showError(error.message);
  } finally {
    if (running.signal === signal) setSearching(false);
  }
}

function setSearching(isSearching) {
  byId("finder-main").setAttribute("aria-busy", String(isSearching));
  byId("search-go").textContent = isSearching ? "Searching…" : "Search";
}

function showError(words) {
  byId("search-error").textContent = words[0].toUpperCase() + words.slice(1);
  byId("search-error").hidden = false;
}

function show(found, { text: query, collection, lanes }) {
  const count = found.data.length;
  const passages = count === 1 ? "1 passage" : `${count || "No"} passages`;
  const words = `${passages} from ${collection}`;
  byId("search-count").textContent = words;
  byId("search-explanation").replaceChildren(explanationOf(found, query));
  const asked = lanes.split(",");
  const hits = found.data.map((hit) =>
    hitOf(hit, { lanes: asked, open: (opener) => source.open(hit, opener, `Passage ${hit.rank}`) }),
  );
  byId("search-hits").replaceChildren(...hits);
  byId("search-results").hidden = false;
  byId("announcer").textContent = words;
}

function listen() {
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const wish = wishOfForm();
    if (!wish.text || !wish.collection) return;
    const { text: q, collection, lanes, k } = wish;
    const address = new URLSearchParams({ q, collection, lanes, k });
    history.pushState(null, "", `?${address}`);
    search(wish);
  });
  addEventListener("popstate", follow);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !source.isOpen || document.querySelector("dialog[open]")) return;
    source.close();
    event.preventDefault();
  });
}

/** Show what the address says. */
function follow() {
  const wish = readAddress(location.search);
  fillForm(wish);
  if (wish.text) {
    search({ ...wish, collection: wish.collection || byId("search-collection").value });
    return;
  }
  byId("search-results").hidden = true;
  byId("search-intro").hidden = false;
}

async function fillCollections() {
  const names = (await api.collections()).map((collection) => collection.name);
  byId("search-collection").replaceChildren(...names.map((name) => element("option", { value: name, text: name })));
  let wanted = null;
  try {
    wanted = localStorage.getItem(REMEMBERED);
  } catch {
    // Without storage the collection is that of a first visit.
  }
  const chosen = [wanted, "python"].find((name) => names.includes(name));
  if (chosen) byId("search-collection").value = chosen;
  byId("search-go").disabled = names.length === 0;
  if (names.length === 0) showError("There is no collection yet; add files on the chat page first.");
}

async function start() {
  listenToTheme(byId("theme-toggle"));
  listen();
  while (!(await api.isReady())) {
    showError("The service is starting: models are being loaded.");
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
  byId("search-error").hidden = true;
  try {
    await fillCollections();
    follow();
  } catch (error) {
    showError(error.message);
  }
  if (!matchMedia("(pointer: coarse)").matches) byId("search-query").focus();
  document.documentElement.dataset.ready = "true";
}

start();
