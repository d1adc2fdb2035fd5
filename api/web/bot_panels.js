// What stands beside the conversation: slots, the decision behind a turn, the handoff.

import { element } from "./element.js";

const EVIDENCE = {
  typed: "you said so",
  button: "you clicked it",
  tool: "from a tool",
  explicit_yes: "you confirmed it",
  not_contradicted: "you did not object",
  carried_over: "known from before",
  inferred: "inferred",
};
const heading = (text) => element("h3", { text });
const hint = (text) => element("p", { class: "hint", text });

/** Show the slots of the task under way, and of those that wait. */
export function showSlots(panel, state) {
  const parts = [];
  for (const task of state.tasks) {
    const rows = task.slots.map((slot) => {
      const why = EVIDENCE[slot.evidence] ?? "";
      const words = slot.status === "empty" ? (slot.required ? "not yet" : "optional") : slot.text;
      const status = [slot.status === "empty" ? "" : slot.status, why].filter(Boolean).join(", ");
      return element(
        "tr",
        { data: { status: slot.status }, "data-testid": "slot" },
        element("th", { scope: "row", text: slot.label }),
        element("td", { text: words }, status ? element("span", { class: "status", text: status }) : null),
      );
    });
    const name = task.status === "active" ? task.about : `${task.about} (${task.status})`;
    parts.push(heading(name), element("table", { class: "slot-table" }, element("tbody", {}, ...rows)));
  }
  if (!parts.length) parts.push(hint("No task is under way. Ask for one, and its slots show here."));
  if (state.open) parts.push(heading("Open question"), element("p", { text: state.open }));
  panel.replaceChildren(...parts);
}

/** Show the decision card of a turn. */
export function showCard(panel, card) {
  if (!card) {
    panel.replaceChildren(hint("Press “Why this?” under an answer to see what decided it."));
    return;
  }
  const parts = [heading(`Turn ${card.turn}: what you said`), marked(card)];
  section(parts, "Understood as", card.commands, (one) => [
    element("code", { text: one.text }),
    note([`p = ${one.p.toFixed(2)}`, one.runner_up && `next best ${one.runner_up}`, costs(one)].filter(Boolean).join(", ")),
  ]);
  section(parts, "Changed", card.changes, (one) => [
    element("span", { text: one.before === one.after ? `${one.slot}: ${one.after}` : `${one.slot}: ${one.before} → ${one.after}` }),
    note([one.status, EVIDENCE[one.evidence] ?? one.evidence, one.source].filter(Boolean).join(", ")),
  ]);
  section(parts, "Called", card.calls, (one) => [
    element("code", { text: one.text }),
    note([one.outcome, given(one.provenance), one.source].filter(Boolean).join(", ")),
  ]);
  section(parts, "Found in the documents", card.passages, (one) => [
    element("span", { text: one.title }),
    note(`score ${one.score.toFixed(2)}`),
  ]);
  section(parts, `Decided by the rule “${card.rule}”`, card.acts, (one) => [
    element("code", { text: one.text }),
    note([one.source, one.reason].filter(Boolean).join(", ")),
  ]);
  if (card.lost.length) parts.push(heading("Rules that came second"), element("p", { text: card.lost.join(", ") }));
  if (card.wording) parts.push(heading("Wording"), element("p", { text: card.wording }));
  parts.push(heading("Cost"), element("p", { text: card.cost }));
  panel.replaceChildren(...parts);
}

/** Return how a value was to be grounded, and what each way would have cost. */
function costs({ confirmation, costs }) {
  const compared = Object.entries(costs).map(([way, turns]) => `${way} ${turns.toFixed(2)}`);
  if (!confirmation) return "";
  return compared.length ? `${confirmation} (expected turns: ${compared.join(", ")})` : confirmation;
}

function given(provenance) {
  const parts = Object.entries(provenance).map(([name, from]) => `${name}: ${EVIDENCE[from] ?? from}`);
  return parts.length ? `arguments ${parts.join(", ")}` : "";
}

function note(text) {
  return element("span", { class: "hint", text });
}

function section(parts, title, items, render) {
  if (!items.length) return;
  const lines = items.map((one) => element("li", {}, ...render(one)));
  parts.push(heading(title), element("ul", { class: "card-list" }, ...lines));
}

/** Return the user's words with the spans marked that values were taken from. */
function marked(card) {
  const nodes = [];
  let at = 0;
  for (const { start, end, slot } of [...card.spans].sort((a, b) => a.start - b.start)) {
    if (start < at) continue;
    nodes.push(card.user.slice(at, start), element("mark", { title: slot, text: card.user.slice(start, end) }));
    at = end;
  }
  nodes.push(card.user.slice(at));
  return element("p", { "data-testid": "card-words" }, ...nodes);
}

/** Show who has the conversation, and what an operator may do; `act(action, text)` does it. */
export function showHandoff(panel, state, act) {
  const { handoff } = state;
  const parts = [];
  if (handoff.status === "none") {
    parts.push(hint("The bot has this conversation. When a person is asked for, the summary shows here."));
  } else {
    const words = { waiting: "A person was called and has not come yet.", with_person: "A person has the conversation; the bot is silent." };
    parts.push(element("p", { text: words[handoff.status], "data-testid": "handoff-status" }));
    if (handoff.queue) parts.push(hint(`Queue: ${handoff.queue}`));
    parts.push(heading("Summary"), element("pre", { class: "hint", text: handoff.summary, "data-testid": "handoff-summary" }));
  }
  const text = element("textarea", { "aria-label": "Message of the operator", placeholder: "Write as the operator" });
  const button = (label, action, name) =>
    element("button", {
      type: "button",
      class: name,
      text: label,
      "data-testid": `operator-${action}`,
      on: { click: () => act(action, text.value) },
    });
  if (handoff.status === "waiting") parts.push(element("div", { class: "handoff-form" }, button("Take the conversation", "take", "primary")));
  if (handoff.status === "with_person") {
    parts.push(
      element(
        "div",
        { class: "handoff-form" },
        text,
        element("div", { class: "handoff-actions" }, button("Say", "say", "primary"), button("Give back to the bot", "return", "secondary")),
      ),
    );
  }
  panel.replaceChildren(...parts);
}
