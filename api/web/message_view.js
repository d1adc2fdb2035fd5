// One message on the page. The view of an answer grows while it streams and keeps no conversation state.

import { button, copyButton, element, icon } from "./element.js";
import { MarkdownView } from "./markdown.js";
import { Thumbs } from "./thumbs.js";
import { ToolCards } from "./tool_cards.js";
import { gateWords, Verdicts } from "./verdicts.js";

/** Return the node of a question. */
export function userMessage(content) {
  return element(
    "article",
    { class: "message user", "data-testid": "message-user" },
    element("h3", { class: "visually-hidden", text: "You" }),
    element("div", { class: "bubble", text: content }),
  );
}

const seconds = (value) => `${value < 10 ? value.toFixed(2) : value.toFixed(1)} s`;

/** Return the beginning of a passage for a list, without lines drawn of characters. */
const toSnippet = (text) => text.slice(0, 400).replace(/[*=~^_-]{4,}/g, " ");

function callout(kind, iconName, ...children) {
  return element("div", { class: `callout ${kind}` }, icon(iconName), element("div", { class: "callout-words" }, ...children));
}

/** The answer of the model, with everything that belongs to it: state, notes, evidence, timings. */
export class AssistantMessage {
  #openSource;
  #collection;
  #source = "";
  #citations = new Map();
  #isFinal = false;
  #frame = 0;
  #state = element("p", { class: "state", "aria-live": "off" });
  #body = element("div", { class: "answer", "data-testid": "answer-text" });
  #after = element("div", { class: "after" });
  #evidence = element("div", { class: "evidence-slot" });
  #meter = element("div", { class: "meter" });
  #markdown = new MarkdownView(this.#body);
  #thumbs = element("div", { class: "thumbs-slot" });
  #verdicts = element("div", { class: "verdicts-slot" });
  #question;
  #read;
  #choose;
  #rate;
  #cards;

  /**
   * It answers `question`; `openSource(citation, opener, kicker)` shows a source, `read(citation)`
   * resolves to it with what stands around it; `collection` is null in plain chat;
   * `decide(run, decisions)` goes on with calls that waited; `rate(message, rating, comment)` says what
   * the reader thinks of the answer; `choose(option)` says which of several things the question meant.
   */
  constructor({ question, openSource, read, collection, decide, rate, choose }) {
    this.#question = question;
    this.#read = read;
    this.#choose = choose;
    this.#rate = rate;
    this.#cards = new ToolCards({ onDecide: decide });
    this.#openSource = openSource;
    this.#collection = collection;
    this.node = element(
      "article",
      { class: "message assistant", "data-testid": "message-assistant", data: { state: "waiting" } },
      element("h3", { class: "visually-hidden", text: "Answer" }),
      this.#state,
      this.#cards.node,
      this.#body,
      this.#after,
      this.#verdicts,
      this.#evidence,
      this.#meter,
      this.#thumbs,
    );
  }

  get text() {
    return this.#source;
  }

  /** Called after every change of the drawn text. */
  onDraw = () => {};

  wait() {
    this.node.setAttribute("aria-busy", "true");
    this.#say(this.#collection === null ? "Thinking" : `Searching ${this.#collection}`);
  }

  /** Show that passages were found, before the first word. */
  found(evidence) {
    const number = evidence.length === 1 ? "1 passage" : `${evidence.length} passages`;
    this.#say(evidence.length ? `Reading ${number}` : "Nothing near was found");
    this.#showEvidence(evidence);
  }

  /** Show how a call of a tool stands. */
  card(card) {
    this.#cards.update(card);
    if (card.status === "running") this.#say(`Using ${card.name}`);
    else if (card.status !== "waiting") this.#say("Thinking");
    this.onDraw();
  }

  append(text) {
    this.#source += text;
    this.node.dataset.state = "streaming";
    this.#state.hidden = true;
    // One drawing per frame however fast the tokens come.
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  /** Show the end of a turn: `details` is the `causerie` object of the answer. */
  finish(details, { finishReason = "stop", usage = null, rating = null } = {}) {
    this.#citations = new Map((details.citations ?? []).map((citation) => [citation.id, citation]));
    this.#end(details.abstained ? "abstained" : "done");
    if (details.abstained) this.#showAbstention(details.grounding);
    if (finishReason === "length") this.#note("The answer reached its length limit and stops here.");
    for (const note of details.notes ?? []) this.#note(note);
    if (details.grounding) this.#showGrounding(details.grounding);
    this.#markCited(details);
    this.#showMeter(details.timings, usage);
    if (this.#collection === null) return;
    const thumbs = new Thumbs({ rating, rate: (said, comment) => this.#rate(this, said, comment) });
    this.#thumbs.replaceChildren(thumbs.node);
  }

  /** Show that there is no (whole) answer, for no fault of anything: `words` says why. */
  stopped(words, onRetry) {
    this.#end("stopped");
    this.#after.append(callout("note", "note", element("p", { text: words }), this.#retry("Ask again", onRetry)));
  }

  /** Show what went wrong, in the server's words. */
  fail(error, onRetry) {
    this.#end("error");
    const reference = error.requestId ? element("p", { class: "hint", text: `Request ${error.requestId}` }) : null;
    const words = callout("error", "alert", element("p", { text: error.message }), reference, this.#retry("Try again", onRetry));
    words.setAttribute("role", "alert");
    this.#after.append(words);
  }

  #retry(text, onClick) {
    return onClick ? button({ name: "retry", text, className: "link", onClick, testid: "retry" }) : null;
  }

  #say(words) {
    this.#state.replaceChildren(
      element("span", { text: words }),
      element("span", { class: "dots", "aria-hidden": "true" }, element("i"), element("i"), element("i")),
    );
  }

  #end(state) {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#isFinal = true;
    this.#draw();
    this.node.dataset.state = state;
    this.#state.hidden = true;
    this.node.removeAttribute("aria-busy");
  }

  #draw() {
    this.#markdown.update(this.#source, { cite: (id) => this.#mark(id), version: this.#isFinal ? "final" : "" });
    this.onDraw();
  }

  /** A mark opens its source once the citations are known; until then it is drawn but inert. */
  #mark(id) {
    const citation = this.#citations.get(id);
    if (!citation) {
      const isPending = !this.#isFinal && this.#collection !== null;
      return isPending ? element("span", { class: "cite pending", text: id }) : null;
    }
    const mark = element("button", {
      type: "button",
      class: "cite",
      "data-testid": "citation",
      data: { citation: id },
      "aria-label": `Source ${id}: ${citation.title || citation.uri}`,
      "aria-controls": "source-panel",
      "aria-expanded": "false",
      title: citation.title || citation.uri,
      text: id,
    });
    mark.addEventListener("click", () => this.#openSource(citation, mark, `Source ${id}`));
    return mark;
  }

  #note(text) {
    const node = callout("note", "note", element("p", { text }));
    node.dataset.testid = "note";
    this.#after.append(node);
  }

  #showAbstention(grounding) {
    const where = this.#collection === null ? "the sources" : this.#collection;
    const label = element("p", { class: "abstention-label", "data-testid": "abstained" });
    label.append(icon("unknown"), element("span", { text: `Not found in ${where}` }));
    this.#body.before(label);
    if (!grounding) return;
    this.#after.append(element("p", { class: "hint verdict-gate", "data-testid": "verdicts-gate", text: gateWords(grounding.gate, this.#question) }));
  }

  /** Show the verdict on each sentence, or the options of an answer that asks back. */
  #showGrounding(grounding) {
    const { gate, sentences, struck } = grounding;
    if (gate.decision === "clarify" && gate.options.length) this.#showOptions(gate.options);
    if (!sentences.length && !struck) return;
    const verdicts = new Verdicts({
      grounding,
      question: this.#question,
      text: this.#source,
      citations: this.#citations,
      read: this.#read,
      openSource: this.#openSource,
    });
    this.#verdicts.replaceChildren(verdicts.node);
  }

  #showOptions(options) {
    const buttons = options.map((option) =>
      element("button", { type: "button", class: "secondary", "data-testid": "clarify-option", text: option, on: { click: () => this.#choose(option) } }),
    );
    this.#after.append(element("div", { class: "clarify", role: "group", "aria-label": "What do you mean?" }, ...buttons));
  }

  #showEvidence(passages) {
    if (passages.length === 0) return;
    const items = passages.map((passage) => {
      const open = element(
        "button",
        { type: "button", class: "evidence-item", "aria-controls": "source-panel", "aria-expanded": "false" },
        element("span", { class: "evidence-rank", text: passage.rank }),
        element(
          "span",
          { class: "evidence-words" },
          element("span", { class: "evidence-title", text: passage.title || passage.uri }),
          element("span", { class: "evidence-text", text: toSnippet(passage.text ?? passage.quote) }),
        ),
      );
      open.addEventListener("click", () => this.#openSource(passage, open, "Evidence"));
      return element("li", { data: { document: passage.document_id, start: passage.start, end: passage.end } }, open);
    });
    const count = passages.length === 1 ? "1 passage read" : `${passages.length} passages read`;
    this.#evidence.replaceChildren(
      element(
        "details",
        { class: "evidence", "data-testid": "evidence" },
        element("summary", {}, element("span", { text: count }), element("span", { class: "cited-count" })),
        element("ol", {}, ...items),
      ),
    );
  }

  /**
   * Say which of the passages the answer cites, or, where it abstains, show what came nearest. A stored
   * answer has no evidence, only its citations.
   */
  #markCited({ abstained, grounding }) {
    const citations = [...this.#citations.values()];
    if (abstained) {
      this.#showEvidence(grounding?.nearest ?? []);
      this.#showFindings();
      return;
    }
    if (!this.#evidence.hasChildNodes()) {
      this.#showEvidence(citations.map((citation) => ({ ...citation, rank: citation.id })));
      const count = this.#evidence.querySelector("summary span");
      if (count) count.textContent = citations.length === 1 ? "1 source" : `${citations.length} sources`;
      return;
    }
    let cited = 0;
    for (const item of this.#evidence.querySelectorAll("li")) {
      const { document: id, start, end } = item.dataset;
      const isCited = citations.some((c) => c.document_id === id && c.start < Number(end) && c.end > Number(start));
      item.classList.toggle("cited", isCited);
      cited += isCited ? 1 : 0;
    }
    const words = this.#evidence.querySelector(".cited-count");
    if (words) words.textContent = cited ? `${cited} cited` : "none cited";
  }

  #showFindings() {
    const list = this.#evidence.querySelector("details");
    if (!list) return;
    list.open = true;
    list.dataset.testid = "findings";
    list.querySelector("summary span").textContent = "What I did find";
  }

  #showMeter(timings, usage) {
    const facts = [];
    if (timings?.tokens_per_s > 0) {
      const speed = timings.tokens_per_s < 100 ? timings.tokens_per_s.toFixed(1) : timings.tokens_per_s.toFixed(0);
      facts.push(element("strong", { "data-testid": "tokens-per-second", text: `${speed} tokens/s` }));
    }
    if (usage) facts.push(element("span", { text: `${usage.completion_tokens} tokens` }));
    for (const [name, words] of [["retrieval_s", "search"], ["prefill_s", "reading"], ["decode_s", "writing"], ["total_s", "total"]]) {
      if (timings?.[name] > 0) facts.push(element("span", { text: `${words} ${seconds(timings[name])}` }));
    }
    this.#meter.replaceChildren(
      element("p", { class: "facts" }, ...facts),
      copyButton(() => this.#source, "Copy answer"),
    );
  }
}
