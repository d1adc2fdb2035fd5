// The conversation with a bot: bubbles, buttons, offers as cards, sources.

import { element } from "./element.js";

export class BotMessages {
  #list;
  #scroll;
  #onSay;
  #onTurn;

  /** `onSay({content, button})` is called for buttons and cards, `onTurn(turn)` when one is looked at. */
  constructor({ list, scroll, onSay, onTurn }) {
    this.#list = list;
    this.#scroll = scroll;
    this.#onSay = onSay;
    this.#onTurn = onTurn;
  }

  clear() {
    this.#list.replaceChildren();
  }

  user(text) {
    this.#retire();
    this.#add(element("li", { class: "turn user", "data-testid": "user-turn" }, element("p", { class: "bubble", text })));
  }

  note(text) {
    this.#add(element("li", { class: "turn note", "data-testid": "note" }, element("p", { class: "bubble", text })));
  }

  bot(turn) {
    const node = element("li", { class: "turn bot", "data-testid": "bot-turn", data: { turn: turn.turn } });
    if (turn.text) node.append(element("p", { class: "bubble", text: turn.text }));
    if (turn.offers.length) node.append(this.#offers(turn.offers));
    if (turn.citations.length) node.append(sources(turn.citations));
    if (turn.buttons.length) node.append(this.#buttons(turn.buttons));
    const why = element("button", {
      type: "button",
      class: "quiet why",
      text: "Why this?",
      "aria-label": `Why did the bot say this? Turn ${turn.turn}`,
      "data-testid": "why",
      on: { click: () => this.#onTurn(turn.turn) },
    });
    if (turn.turn > 0) node.append(why);
    this.#add(node);
  }

  /** Mark the turn whose decision is shown. */
  select(number) {
    for (const node of this.#list.children) {
      if (node.dataset.turn === String(number)) node.setAttribute("aria-current", "true");
      else node.removeAttribute("aria-current");
    }
  }

  #add(node) {
    this.#list.append(node);
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  /** What was answered can no longer be chosen. */
  #retire() {
    for (const node of this.#list.querySelectorAll(".replies button, .offer button")) node.disabled = true;
  }

  #offers(offers) {
    const cards = offers.map((offer) => {
      const facts = Object.entries(offer.columns).map(([name, value]) => [
        element("dt", { text: name.replaceAll("_", " ") }),
        element("dd", { text: value }),
      ]);
      return element(
        "article",
        { class: "offer", "data-testid": "offer" },
        element("h3", { text: offer.name }),
        element("dl", {}, ...facts.flat()),
        element("button", {
          type: "button",
          class: "secondary",
          text: "Choose",
          "aria-label": `Choose ${offer.name}`,
          on: { click: () => this.#onSay({ content: offer.name, button: offer.payload }) },
        }),
      );
    });
    return element("div", { class: "offers" }, ...cards);
  }

  #buttons(buttons) {
    const nodes = buttons.map(({ title, payload }) =>
      element("button", {
        type: "button",
        text: title,
        "data-testid": "reply-button",
        on: { click: () => this.#onSay({ content: title, button: payload }) },
      }),
    );
    return element("div", { class: "replies", role: "group", "aria-label": "Possible answers" }, ...nodes);
  }
}

function sources(citations) {
  const lines = citations.map((one) => element("li", { text: one.title, title: one.text }));
  return element("ol", { class: "sources", "aria-label": "Sources", "data-testid": "sources" }, ...lines);
}
