// The calls of an answer as cards: what is called with what, what came back, and what waits for the user.

import { element, icon } from "./element.js";

const WORDS = { running: "running", waiting: "waits for you", done: "done", failed: "failed" };
const ICON_OF = { running: "retry", waiting: "unknown", done: "done", failed: "alert" };
const MAX_SHOWN = 4000;
const MOST_IN_HEAD = 32;

const short = (text, most) => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);

/** Return JSON text in lines, or the text as it is. */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Return the arguments in one line for the head of a card. */
function inLine(text) {
  try {
    const values = Object.entries(JSON.parse(text)).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
    return values.join(", ");
  } catch {
    return text;
  }
}

/** Return a result that is short enough for the head of a card; one that is longer is in its body. */
function outcomeOf(card) {
  const text = (card.result ?? "").trim();
  return text && text.length <= MOST_IN_HEAD && !text.includes("\n") ? `= ${text}` : "";
}

function block(label, text, testid) {
  return element(
    "div",
    { class: "tool-block" },
    element("p", { class: "tool-label", text: label }),
    element("pre", { tabindex: "0", "data-testid": testid }, element("code", { text: short(text, MAX_SHOWN) })),
  );
}

export class ToolCards {
  #nodes = new Map();
  #words = new Map(); // call id → the user's word, until all that wait have one
  #onDecide;

  /** `onDecide(run, decisions)` is called once each call that waits has been agreed to or denied. */
  constructor({ onDecide }) {
    this.#onDecide = onDecide;
    this.node = element("ul", { class: "tools", "data-testid": "tool-cards", "aria-label": "Calls of tools", hidden: true });
  }

  /** Show a card, in the place of an earlier one of the same call. */
  update(card) {
    this.node.hidden = false;
    const node = this.#draw(card);
    const before = this.#nodes.get(card.call_id);
    if (before) before.replaceWith(node);
    else this.node.append(node);
    this.#nodes.set(card.call_id, node);
  }

  #draw(card) {
    const isWaiting = card.status === "waiting";
    const time = card.seconds > 0 ? ` · ${card.seconds.toFixed(2)} s` : "";
    const head = element(
      "summary",
      {},
      icon(ICON_OF[card.status]),
      element("span", { class: "tool-name", text: card.name }),
      element("span", { class: "tool-line", text: short(inLine(card.arguments), 120) }),
      card.status === "done" ? element("span", { class: "tool-outcome", "data-testid": "tool-outcome", text: outcomeOf(card) }) : null,
      element("span", { class: "tool-status", "data-testid": "tool-status", text: `${WORDS[card.status]}${time}` }),
    );
    const parts = [block("Arguments", pretty(card.arguments), "tool-arguments")];
    const label = card.status === "failed" ? `Not done: ${card.kind.replaceAll("_", " ")}` : "Result";
    if (card.result) parts.push(block(label, pretty(card.result), "tool-result"));
    if (isWaiting) parts.push(this.#question(card));
    return element(
      "li",
      {},
      element(
        "details",
        { class: `tool ${card.status}`, "data-testid": "tool-card", data: { status: card.status }, open: isWaiting },
        head,
        element("div", { class: "tool-body" }, ...parts),
      ),
    );
  }

  #question(card) {
    const reasons = (card.reasons ?? []).map((reason) => element("li", { text: reason }));
    const buttons = [
      ["Approve", true, "primary", "approve"],
      ["Deny", false, "secondary", "deny"],
    ].map(([text, isAgreed, kind, testid]) =>
      element("button", { type: "button", class: kind, "data-testid": testid, text, on: { click: () => this.#decide(card, isAgreed) } }),
    );
    return element(
      "div",
      { class: "tool-question", role: "group", "aria-label": `Agree to ${card.name}?` },
      element("p", { text: "Shall this be done, with exactly these arguments?" }),
      reasons.length ? element("ul", { class: "tool-reasons" }, ...reasons) : null,
      element("div", { class: "tool-buttons" }, ...buttons),
    );
  }

  #decide(card, isAgreed) {
    this.#words.set(card.call_id, isAgreed);
    const node = this.#nodes.get(card.call_id);
    node.querySelector(".tool-question").replaceChildren(element("p", { text: isAgreed ? "Approved." : "Denied." }));
    node.querySelector(".tool-status").textContent = isAgreed ? "approved" : "denied";
    if (this.node.querySelector(".tool-buttons")) return;
    const decisions = [...this.#words].map(([call_id, approve]) => ({ call_id, approve }));
    this.#words.clear();
    this.#onDecide(card.run, decisions);
  }
}
