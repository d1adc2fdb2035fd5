// The page that looks for the mark: a text or a conversation in, a verdict and coloured tokens out.

import { Api } from "./api.js";
import { askForKey } from "./dialogs.js";
import { element } from "./element.js";
import { listenToTheme } from "./theme_toggle.js";

const MOST_SHOWN = 6000;
const SPEAKER = /^(user|you|system|assistant|causerie):[ \t]?/i;
const byId = (id) => document.getElementById(id);
const api = new Api({ askForKey });
let running = null;

/** Return the messages of a conversation, or null where a text is none. */
export function readConversation(text) {
  return fromJson(text) ?? fromLines(text);
}

function fromJson(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  const isMessage = (one) => typeof one?.role === "string" && typeof (one.content ?? "") === "string";
  if (!Array.isArray(found) || found.length === 0 || !found.every(isMessage)) return null;
  return found.map(({ role, content }) => ({ role, content: content ?? "" }));
}

function fromLines(text) {
  const messages = [];
  for (const line of text.split("\n")) {
    const match = SPEAKER.exec(line);
    if (match) messages.push({ role: roleOf(match[1].toLowerCase()), lines: [line.slice(match[0].length)] });
    else if (messages.length) messages.at(-1).lines.push(line);
    else if (line.trim()) return null;
  }
  const roles = new Set(messages.map(({ role }) => role));
  if (!roles.has("assistant") || !roles.has("user")) return null;
  return messages.map(({ role, lines }) => ({ role, content: lines.join("\n").trimEnd() }));
}

function roleOf(speaker) {
  if (speaker === "assistant" || speaker === "causerie") return "assistant";
  return speaker === "system" ? "system" : "user";
}

/** Return how a token is coloured; `evidence` is in standard deviations. */
export function levelOf({ evidence, counted }) {
  if (!counted) return "uncounted";
  if (evidence >= 2) return "3";
  if (evidence >= 0.75) return "2";
  if (evidence >= 0.2) return "1";
  return evidence > -0.6 ? "0" : "against";
}

async function look() {
  const text = byId("detect-text").value;
  if (!text.trim()) {
    showError("Paste a text first.");
    byId("detect-text").focus();
    return;
  }
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  const messages = readConversation(text);
  const question = { ...(messages ? { messages } : { text }), tokens: true };
  const [scheme, statistic] = byId("detect-scheme").value.split(":");
  if (scheme) question.scheme = scheme;
  if (statistic) question.statistic = statistic;
  if (byId("detect-search").checked) question.search = true;
  // The last verdict is of another question; it must not stand beside this one.
  byId("verdict").hidden = true;
  byId("detect-error").hidden = true;
  setLooking(true);
  try {
    show(await api.detectWatermark(question, { signal }));
  } catch (error) {
    if (error.name !== "AbortError") showError(error.message);
  } finally {
    setLooking(false);
  }
}

function setLooking(isLooking) {
  const go = byId("detect-go");
  go.disabled = isLooking;
  go.textContent = isLooking ? "Looking…" : "Look for the mark";
}

function showError(words) {
  byId("verdict").hidden = true;
  byId("detect-error").textContent = words[0].toUpperCase() + words.slice(1);
  byId("detect-error").hidden = false;
}

function show(answer) {
  byId("detect-error").hidden = true;
  const title = answer.detected ? "The mark was found" : "No mark was found";
  byId("verdict").dataset.detected = String(answer.detected);
  byId("verdict-title").textContent = title;
  byId("verdict-words").textContent = answer.sentence.replace(`${title}: `, "");
  byId("verdict-facts").replaceChildren(...factsOf(answer));
  byId("tokens").replaceChildren(...repliesOf(answer));
  byId("verdict").hidden = false;
  byId("announcer").textContent = title;
  byId("verdict").focus();
}

function factsOf(answer) {
  const facts = [
    ["p-value", pValue(answer.p_value, answer.log10_p_value)],
    ["Scheme", answer.scheme],
    ["Key", `${answer.key} (${answer.key_id})`],
    ["Tokens that count", answer.num_scored],
    ["Keys tried", answer.num_tests],
  ];
  if (answer.z_score !== null) facts.push(["Above chance", `${answer.z_score.toFixed(1)} σ`]);
  return facts.map(([name, value]) =>
    element("div", {}, element("dt", { text: name }), element("dd", { text: String(value) })),
  );
}

function pValue(value, log10) {
  if (value === 0 || log10 < -4) {
    const exponent = Math.floor(log10);
    return `${(10 ** (log10 - exponent)).toFixed(1)} × 10${raised(exponent)}`;
  }
  return value.toPrecision(2);
}

/** Return a number in superscript. */
function raised(number) {
  return String(number).replace(/./g, (digit) => (digit === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]));
}

function repliesOf(answer) {
  const boxes = answer.replies.map((reply, number) =>
    element("div", { class: "reply", "data-testid": "reply" }, replyFacts(answer, reply, number)),
  );
  for (const token of answer.tokens.slice(0, MOST_SHOWN)) boxes[token.reply].append(tokenOf(token));
  if (answer.tokens.length > MOST_SHOWN) {
    boxes.push(
      element("p", { class: "hint", text: `The first ${MOST_SHOWN} of ${answer.tokens.length} tokens are shown.` }),
    );
  }
  return boxes;
}

function replyFacts(answer, reply, number) {
  if (reply.passage !== null) {
    const words = reply.passage.length > 160 ? `${reply.passage.slice(0, 160)}…` : reply.passage;
    return element("p", { class: "reply-facts", text: `Strongest passage: “${words.trim()}”` });
  }
  if (answer.replies.length === 1) return null;
  const words = `Reply ${number + 1}: ${reply.num_scored} of ${reply.num_tokens} tokens count; by itself p = ${pValue(reply.p_value, reply.log10_p_value)}`;
  return element("p", { class: "reply-facts", text: words });
}

function tokenOf(token) {
  const sign = token.evidence > 0 ? "+" : "";
  const words = token.counted ? `evidence ${sign}${token.evidence.toFixed(2)}` : "does not count";
  return element("span", { class: "token", title: words, data: { level: levelOf(token) }, text: token.text });
}

function start() {
  listenToTheme(byId("theme-toggle"));
  byId("detect-form").addEventListener("submit", (event) => {
    event.preventDefault();
    look();
  });
  byId("detect-text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) look();
  });
  document.documentElement.dataset.ready = "true";
}

start();
