// What an answer rests on: the verdict on each of its sentences, beside the passage that it cites.

import { button, element, icon } from "./element.js";
import { missingWords } from "./missing_words.js";
import { unwrap } from "./source_panel.js";

export const AROUND = 120; // bytes on either side of a quote

const KINDS = {
  verbatim: ["done", "Word for word"],
  supported: ["done", "Supported"],
  partial: ["note", "Supported in part"],
  unsupported: ["alert", "Not supported"],
};
const PROBLEMS = {
  number: (text) => `the number ${text} is not there`,
  date: (text) => `the date ${text} is not there`,
  name: (text) => `the name ${text} is not there`,
  quote: (text) => `“${text}” is not said there`,
  negation: (text) => `${text} here, the other way there`,
  opposite: (text) => `the opposite is said there (${text})`,
};

/** Return the bytes `start` to `end` of the UTF-8 form of `text`. */
export function byteSlice(text, start, end) {
  return new TextDecoder().decode(new TextEncoder().encode(text).slice(start, end));
}

const kindOf = ({ verdict, verbatim }) => (verbatim && verdict === "supported" ? "verbatim" : verdict);
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const percent = (share) => (share > 0 && share < 0.01 ? "under 1 %" : `${Math.round(100 * share)} %`);

/** Return the verdicts in one line, such as `2 of 3 sentences supported, 1 left out`. */
export function inShort({ sentences, struck }) {
  const held = sentences.filter((one) => one.verdict === "supported").length;
  const parts = [];
  if (held === sentences.length && held) parts.push(held === 1 ? "1 sentence supported" : `All ${held} sentences supported`);
  else if (sentences.length) parts.push(`${held} of ${plural(sentences.length, "sentence")} supported`);
  for (const [verdict, words] of [["partial", "in part"], ["unsupported", "not"]]) {
    const count = sentences.filter((one) => one.verdict === verdict).length;
    if (count) parts.push(`${count} ${words}`);
  }
  if (struck) parts.push(`${parts.length ? struck : plural(struck, "sentence")} left out`);
  return parts.join(", ");
}

export class Verdicts {
  #text;
  #citations;
  #openSource;
  #read;
  #isRead = false;
  #figures = [];

  /**
   * `text` is the answer to `question`, `citations` its sources by number; `read(citation)` resolves to a passage with
   * its surroundings, `openSource(citation, opener, kicker)` shows it in its document.
   */
  constructor({ grounding, question, text, citations, read, openSource }) {
    this.#text = text;
    this.#citations = citations;
    this.#read = read;
    this.#openSource = openSource;
    this.node = element(
      "details",
      { class: "verdicts", "data-testid": "verdicts", on: { toggle: () => this.#readAll() } },
      element("summary", {}, stripOf(grounding), element("span", { "data-testid": "verdicts-short", text: inShort(grounding) })),
      element("ol", { class: "verdict-list" }, ...grounding.sentences.map((one) => this.#item(one))),
      grounding.struck
        ? element("p", { class: "verdict-struck", "data-testid": "verdicts-struck" }, icon("close"), element("span", { text: `${plural(grounding.struck, "sentence")} of the draft left out: nothing that was found bears ${grounding.struck === 1 ? "it" : "them"} out.` }))
        : null,
      element("p", { class: "hint verdict-gate", "data-testid": "verdicts-gate", text: gateWords(grounding.gate, question) }),
    );
    // What does not hold must not wait behind a click.
    this.node.open = grounding.sentences.some((one) => one.verdict === "unsupported");
  }

  #item(sentence) {
    const kind = kindOf(sentence);
    const [name, words] = KINDS[kind] ?? ["unknown", sentence.verdict];
    const said = byteSlice(this.#text, sentence.start, sentence.end);
    const sources = sentence.citations.map((id) => this.#citations.get(id)).filter(Boolean);
    // A quote in its passage says the sentence already.
    const isShown = sources.some(({ quote }) => quote === said);
    return element(
      "li",
      { class: "verdict-item", data: { verdict: kind }, "data-testid": "verdict-item" },
      element(
        "div",
        { class: "verdict-head" },
        element("span", { class: "verdict-badge" }, icon(name), element("span", { text: sentence.rewritten ? `${words}, written anew` : words })),
        scoresOf(sentence),
      ),
      isShown ? null : element("p", { class: "verdict-said", text: said }),
      problemsOf(sentence),
      ...sources.map((citation) => this.#figure(citation)),
      sources.length ? null : element("p", { class: "hint", text: "It cites nothing that was found." }),
    );
  }

  #figure(citation) {
    const quote = element("blockquote", { class: "passage" }, element("mark", { "data-testid": "verdict-quote", text: unwrap(citation.quote) }));
    const name = citation.title || citation.uri;
    const opener = button({ name: "file", text: `[${citation.id}] ${name}`, className: "link", testid: "verdict-source", onClick: () => this.#openSource(citation, opener, `Source ${citation.id}`) });
    opener.setAttribute("aria-controls", "source-panel");
    opener.setAttribute("aria-expanded", "false");
    const caption = element("figcaption", {}, opener, element("span", { class: "hint", text: `score ${citation.score.toFixed(2)}` }));
    this.#figures.push({ citation, quote, caption });
    return element("figure", { class: "verdict-source" }, quote, caption);
  }

  /** Show what stands around each quote, once somebody looks. */
  #readAll() {
    if (!this.node.open || this.#isRead) return;
    this.#isRead = true;
    for (const { citation, quote, caption } of this.#figures) this.#surround(citation, quote, caption);
  }

  async #surround(citation, quote, caption) {
    try {
      const { before, text, after, text_sha256: hash } = await this.#read(citation);
      if (hash !== citation.text_sha256) {
        caption.append(element("span", { class: "hint", text: "The document has changed since." }));
        return;
      }
      const whole = unwrap(before + text + after);
      const end = before.length + text.length;
      quote.replaceChildren(
        isCut(before) ? `…${whole.slice(0, before.length).replace(/^\S*\s+/, "")}` : whole.slice(0, before.length).trimStart(),
        element("mark", { "data-testid": "verdict-quote", text: whole.slice(before.length, end) }),
        isCut(after) ? `${whole.slice(end).replace(/\s+\S*$/, "")}…` : whole.slice(end).trimEnd(),
      );
    } catch (error) {
      caption.append(element("span", { class: "hint", text: error.message }));
    }
  }
}

/** Tell whether a document goes on beyond what stands around a quote. */
function isCut(context) {
  return new TextEncoder().encode(context).length > AROUND - 4; // half characters are left out
}

/** Return one mark a sentence: how an answer stands, at a glance. */
function stripOf({ sentences, struck }) {
  const marks = sentences.map((one) => element("i", { data: { verdict: kindOf(one) } }));
  const gone = Array.from({ length: struck }, () => element("i", { data: { verdict: "struck" } }));
  return element("span", { class: "verdict-strip", "aria-hidden": "true" }, ...marks, ...gone);
}

function scoresOf({ verbatim, scores }) {
  const facts = [];
  if (!verbatim) facts.push(["terms there", percent(scores.cover), "The share of its words that stand in what it cites"]);
  if (scores.similarity !== null) facts.push(["similarity", scores.similarity.toFixed(2), "The cosine to what it cites"]);
  if (scores.lift !== null) facts.push(["lift", `${scores.lift > 0 ? "+" : ""}${scores.lift.toFixed(2)}`, "How much likelier the evidence makes it, in nats per word"]);
  if (!facts.length) return null;
  const rows = facts.map(([name, value, title]) => element("div", { title }, element("dt", { text: name }), element("dd", { text: value })));
  return element("dl", { class: "verdict-scores", "data-testid": "verdict-scores" }, ...rows);
}

function problemsOf({ problems }) {
  if (!problems.length) return null;
  const items = problems.map(({ kind, text, weak }) => {
    const words = (PROBLEMS[kind] ?? ((what) => `${kind}: ${what}`))(text);
    return element("li", { text: weak ? `a doubt: ${words}` : words });
  });
  return element("ul", { class: "verdict-problems", "data-testid": "verdict-problems" }, ...items);
}

/** Return what the gate said of the question, in one line. */
export function gateWords(gate, question) {
  const parts = [`Before answering: ${percent(gate.p_answerable)} sure that this can be answered from what was found`];
  if (!gate.calibrated) parts[0] += " (a rough figure, not fitted on this collection)";
  const missing = missingWords(gate, question);
  if (missing.length) parts.push(`not found there: ${missing.join(", ")}`);
  return `${parts.join("; ")}.`;
}
