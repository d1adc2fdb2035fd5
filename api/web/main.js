// The page: makes its parts, connects them, and follows the address (`#c/ID` is a conversation).

import { Api } from "./api.js";
import { Collections } from "./collections.js";
import { ConversationView } from "./conversation_view.js";
import { askForKey } from "./dialogs.js";
import { Sidebar } from "./sidebar.js";
import { SourcePanel } from "./source_panel.js";
import { listenToTheme } from "./theme_toggle.js";
import { Uploads } from "./upload.js";

const READY_POLL_MS = 1200;
const byId = (id) => document.getElementById(id);

const api = new Api({ askForKey });
const source = new SourcePanel({
  api,
  onToggle: (isOpen) => document.body.classList.toggle("source-open", isOpen),
});
const collections = new Collections({
  api,
  on: {
    picked: () => begin(),
    changed: (facts) => {
      if (view.id === null && !byId("empty").hidden) view.showEmpty(facts);
    },
  },
});
const view = new ConversationView({
  api,
  source,
  on: {
    created: ({ id }) => {
      history.pushState(null, "", `#c/${id}`);
      sidebar.mark(id);
      refreshList();
    },
    asked: () => {
      showBanner("");
      uploads.tidy();
    },
    missing: (error) => {
      begin();
      showBanner(error.message);
    },
    opened: ({ id, collection }) => {
      showBanner("");
      collections.select(collection);
      sidebar.mark(id);
    },
    answered: () => refreshList(),
  },
});
const sidebar = new Sidebar({
  api,
  on: {
    open: (id) => {
      location.hash = `#c/${id}`;
    },
    begin: () => {
      begin();
      byId("composer-text").focus();
    },
    deleted: (id) => {
      if (view.id === id) begin();
    },
  },
});
const uploads = new Uploads({ api, collections });

function idInAddress() {
  const match = /^#c\/(.+)$/.exec(location.hash);
  return match ? decodeURIComponent(match[1]) : null;
}

/** Begin a new conversation with the picked collection. */
function begin() {
  if (idInAddress() !== null) history.pushState(null, "", location.pathname);
  sidebar.mark(null);
  view.begin(collections.selected);
}

/** Show what the address says. */
async function follow() {
  const id = idInAddress();
  if (id === null) begin();
  else if (id !== view.id) await view.open(id);
}

function showBanner(words) {
  byId("banner").textContent = words;
  byId("banner").hidden = !words;
}

async function refreshList() {
  try {
    await sidebar.refresh();
  } catch (error) {
    showBanner(error.message);
  }
}

async function start() {
  listenToKeys();
  listenToTheme(byId("theme-toggle"));
  addEventListener("hashchange", follow);
  addEventListener("popstate", follow);
  while (!(await api.isReady())) {
    showBanner("The service is starting: models are being loaded.");
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
  showBanner("");
  try {
    await collections.refresh();
    byId("use-tools").hidden = (await api.tools()).length === 0;
  } catch (error) {
    showBanner(error.message);
  }
  await Promise.all([follow(), refreshList()]);
  if (!matchMedia("(pointer: coarse)").matches) byId("composer-text").focus();
  document.documentElement.dataset.ready = "true";
}

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    // An open dialog closes itself; nothing behind it may react as well.
    if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]")) return;
    if (sidebar.isOpen) sidebar.close();
    else if (source.isOpen) source.close();
    else if (view.isRunning) view.stop();
    else return;
    event.preventDefault();
  });
  byId("skip-link").addEventListener("click", (event) => {
    event.preventDefault(); // the address belongs to the conversation
    byId("composer-text").focus();
  });
}

start();
