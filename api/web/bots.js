// The page of task bots: pick one, talk to it, see what it knows and why it said what it said.

import { Api } from "./api.js";
import { BotMessages } from "./bot_messages.js";
import { showCard, showHandoff, showSlots } from "./bot_panels.js";
import { askForKey } from "./dialogs.js";
import { element } from "./element.js";
import { listenToTheme } from "./theme_toggle.js";

const byId = (id) => document.getElementById(id);
const api = new Api({ askForKey });
const TABS = ["slots", "card", "handoff"];
let conversation = null;
let isBusy = false;
let bots = [];

const messages = new BotMessages({
  list: byId("bot-messages"),
  scroll: byId("bot-scroll"),
  onSay: (message) => say(message),
  onTurn: (turn) => explain(turn, { opens: true }),
});

function chosenBot() {
  return bots.find(({ name }) => name === byId("bot-select").value);
}

async function open() {
  const bot = chosenBot();
  if (!bot) return;
  showError("");
  messages.clear();
  showCard(byId("panel-card"), null);
  const locale = byId("locale-select").value || null;
  await guarded(async () => {
    const opened = await api.openBot({ bot: bot.name, locale });
    conversation = opened.id;
    if (opened.greeting) messages.bot(opened.greeting);
    await refresh();
  });
  byId("bot-input").focus();
}

async function say({ content, button = null }) {
  if (!conversation || isBusy) return;
  messages.user(content);
  await guarded(async () => {
    let turn = null;
    const id = crypto.randomUUID?.() ?? `m-${Date.now()}-${Math.random()}`;
    for await (const event of api.sayToBot({ conversation, id, content, button })) {
      if (event.type === "bot.hold") messages.note(event.text);
      else turn = event;
    }
    if (turn?.text || turn?.offers.length) messages.bot(turn);
    else messages.note("The bot is silent: a person has the conversation.");
    byId("announcer").textContent = turn?.text ?? "";
    await refresh();
    if (turn) await explain(turn.turn, { opens: false });
  });
  byId("bot-input").focus();
}

async function guarded(work) {
  isBusy = true;
  byId("bot-send").disabled = true;
  try {
    await work();
    showError("");
  } catch (error) {
    showError(error.message);
  } finally {
    isBusy = false;
    byId("bot-send").disabled = false;
  }
}

async function refresh() {
  const state = await api.botState(conversation);
  showSlots(byId("panel-slots"), state);
  showHandoff(byId("panel-handoff"), state, operate);
}

async function explain(turn, { opens }) {
  const card = await api.decisionCard(conversation, turn);
  showCard(byId("panel-card"), card);
  messages.select(turn);
  if (opens) selectTab("card");
}

async function operate(action, text) {
  await guarded(async () => {
    const turn = await api.operate(conversation, { action, text });
    if (turn.text) messages.bot(turn);
    await refresh();
  });
}

function showError(words) {
  byId("bot-error").textContent = words;
  byId("bot-error").hidden = !words;
}

function selectTab(name) {
  for (const one of TABS) {
    const tab = byId(`tab-${one}`);
    const isChosen = one === name;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    byId(`panel-${one}`).hidden = !isChosen;
  }
}

function listenToTabs() {
  for (const name of TABS) {
    byId(`tab-${name}`).addEventListener("click", () => selectTab(name));
    byId(`tab-${name}`).addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = TABS[(TABS.indexOf(name) + step + TABS.length) % TABS.length];
      selectTab(next);
      byId(`tab-${next}`).focus();
    });
  }
}

function showLocales() {
  const locales = chosenBot()?.locales ?? [];
  byId("locale-select").replaceChildren(...locales.map((one) => element("option", { value: one, text: one })));
  byId("locale-picker").hidden = locales.length < 2;
}

async function start() {
  listenToTheme(byId("theme-toggle"));
  listenToTabs();
  byId("bot-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const content = byId("bot-input").value.trim();
    if (!content || isBusy) return;
    byId("bot-input").value = "";
    say({ content });
  });
  byId("bot-select").addEventListener("change", () => {
    showLocales();
    open();
  });
  byId("locale-select").addEventListener("change", open);
  byId("bot-new").addEventListener("click", open);
  try {
    bots = await api.bots();
  } catch (error) {
    showError(error.message);
  }
  byId("bot-select").replaceChildren(...bots.map(({ name, title }) => element("option", { value: name, text: title })));
  if (bots.length) {
    showLocales();
    await open();
  } else if (byId("bot-error").hidden) {
    showError("This service has no bots. Start it with CAUSERIE_BOTS=FOLDER, whose subfolders are bots.");
  }
  document.documentElement.dataset.ready = "true";
}

start();
