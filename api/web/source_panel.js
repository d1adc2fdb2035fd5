// The panel that shows where an answer comes from: the passage, with the cited span marked.

import { button, element } from "./element.js";

const CONTEXTS = [600, 3000, 20000]; // characters on either side; each press of "more" goes one further

/**
 * Return `text` with the soft line ends of hard-wrapped prose turned into spaces. Same length, so
 * that spans stay where they are; code, lists and tables (short or indented lines) keep their lines.
 */
export function unwrap(text) {
  return text.replace(/(?<=(?:^|\n)[^\s|>#*-][^\n]{50,})\n(?=[^\s|>#*+-])(?!\d+[.)])/g, " ");
}

export class SourcePanel {
  #api;
  #panel = document.getElementById("source-panel");
  #body = document.getElementById("source-body");
  #foot = document.getElementById("source-foot");
  #opener = null;
  #citation = null;
  #onToggle;

  /** `onToggle(isOpen)` hears of opening and closing. */
  constructor({ api, onToggle }) {
    this.#api = api;
    this.#onToggle = onToggle;
    document.getElementById("source-close").addEventListener("click", () => this.close());
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  /** Show the passage behind `citation`; focus goes to the panel, and back to `opener` on close. */
  async open(citation, opener, kicker) {
    this.#release();
    this.#opener = opener;
    this.#citation = citation;
    opener?.setAttribute("aria-expanded", "true");
    document.getElementById("source-kicker").textContent = kicker;
    this.#name(citation);
    this.#panel.hidden = false;
    this.#onToggle(true);
    document.getElementById("source-title").focus({ preventScroll: true });
    await this.#show(0);
  }

  close() {
    if (!this.isOpen) return;
    const opener = this.#opener;
    this.#release();
    this.#citation = null;
    this.#panel.hidden = true;
    this.#onToggle(false);
    if (opener?.isConnected) opener.focus({ preventScroll: true });
    else document.getElementById("composer-text")?.focus(); // the search page has none
  }

  #release() {
    this.#opener?.setAttribute("aria-expanded", "false");
    this.#opener = null;
  }

  #name({ title, uri }) {
    document.getElementById("source-title").textContent = title || uri;
    const line = document.getElementById("source-uri");
    const isWeb = /^https?:\/\//i.test(uri);
    line.replaceChildren(
      isWeb ? element("a", { href: uri, target: "_blank", rel: "noopener noreferrer nofollow", text: uri }) : uri,
    );
  }

  async #show(step) {
    const citation = this.#citation;
    this.#body.setAttribute("aria-busy", "true");
    if (step === 0) this.#body.replaceChildren(element("p", { class: "hint", text: "Opening the source…" }));
    this.#foot.replaceChildren();
    try {
      const passage = await this.#api.passage(citation, CONTEXTS[step]);
      if (this.#citation === citation) this.#showPassage(passage, citation, step);
    } catch (error) {
      if (this.#citation === citation) this.#showQuote(error, citation, step);
    } finally {
      this.#body.removeAttribute("aria-busy");
    }
  }

  #showPassage(passage, citation, step) {
    const { before, text, after } = passage;
    this.#name(passage);
    const whole = before + text + after;
    const shown = /csv|code|x-python/.test(passage.media_type ?? "") ? whole : unwrap(whole);
    const mark = element("mark", {
      "data-testid": "source-mark",
      text: shown.slice(before.length, before.length + text.length),
    });
    const hasChanged = citation.text_sha256 && passage.text_sha256 && citation.text_sha256 !== passage.text_sha256;
    this.#body.replaceChildren(
      ...(hasChanged ? [this.#changed(citation)] : []),
      element("div", { class: "passage" }, shown.slice(0, before.length), mark, shown.slice(before.length + text.length)),
    );
    // Well short of what was asked for on both sides: the document ends there.
    const isWhole = Math.max(before.length, after.length) < 0.4 * CONTEXTS[step];
    if (step + 1 < CONTEXTS.length && !isWhole) {
      this.#foot.append(
        button({ text: "Show more of the document", className: "link", onClick: () => this.#show(step + 1), testid: "source-more" }),
      );
    }
    const room = mark.getBoundingClientRect().top - this.#body.getBoundingClientRect().top;
    this.#body.scrollTop += room - Math.min(96, this.#body.clientHeight / 4);
  }

  #changed({ quote }) {
    return element(
      "div",
      { class: "callout note" },
      element("p", { text: "This document has changed since the answer was given. Quoted then:" }),
      element("blockquote", { text: quote }),
    );
  }

  /** The document may be gone; the answer still carries what it quoted. */
  #showQuote(error, { quote }, step) {
    this.#body.replaceChildren(
      element("div", { class: "callout error", role: "alert" }, element("p", { text: error.message })),
      ...(quote ? [element("div", { class: "passage" }, element("mark", { "data-testid": "source-mark", text: quote }))] : []),
    );
    this.#foot.append(button({ name: "retry", text: "Try again", className: "link", onClick: () => this.#show(step) }));
  }
}
