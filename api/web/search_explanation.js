// How a search came to its passages: the time of each lane, the formula, and what the gate would do.

import { element, icon } from "./element.js";
import { missingWords } from "./missing_words.js";
import { planOf } from "./search_plan.js";

const DECISIONS = {
  answer: ["done", "would answer"],
  clarify: ["unknown", "would ask back"],
  abstain: ["alert", "would abstain"],
};
const FEATURES = {
  nearest: "cosine of the nearest passage",
  gap: "how far the first is before the fifth",
  agreement: "how far the lanes agree on the first",
  unknown: "share of the terms that occur nowhere",
  cover: "share of the terms in the best passage",
  missing_name: "a name is missing",
  likelihood: "likelihood",
};

const ms = (value) => (value < 10 ? `${value.toFixed(1)} ms` : `${value.toFixed(0)} ms`);

function row(name, value, title = null) {
  return element("div", { title }, element("dt", { text: name }), element("dd", { text: value }));
}

/** Return the card that explains what the search route answered to `query`. */
export function explanationOf({ explain, complete, reason }, query) {
  const parts = [];
  if (!complete || reason) {
    parts.push(element("p", { class: "banner", role: "status", text: `Some passages may be missing${reason ? `: ${reason}` : "."}` }));
  }
  if (explain) {
    parts.push(
      element(
        "section",
        { class: "explanation", "data-testid": "explanation", "aria-label": "How this was found" },
        lanesOf(explain),
        explain.gate ? gateOf(explain.gate, query) : element("p", { class: "hint", text: "The gate decides on both lanes together; with one alone it says nothing." }),
        explain.trace ? planOf(explain.trace) : null,
      ),
    );
  }
  const card = document.createDocumentFragment();
  card.append(...parts);
  return card;
}

function lanesOf({ lanes, encode_ms: encoding, search_ms: searching, seq, fusion, trace }) {
  const most = Math.max(...lanes.map((lane) => lane.ms), 0.001);
  const rows = lanes.map((lane) =>
    element(
      "tr",
      { data: { lane: lane.name } },
      element("th", { scope: "row", text: lane.name }),
      element("td", {}, element("progress", { max: most, value: lane.ms, "aria-hidden": "true" })),
      element("td", { text: ms(lane.ms) }),
      element("td", { text: lane.num_found }),
    ),
  );
  const head = ["lane", "", "time", "candidates"].map((name) => (name ? element("th", { scope: "col", text: name }) : element("td")));
  return element(
    "div",
    { class: "explanation-lanes" },
    element("h3", { class: "label", text: "Lanes" }),
    element("table", { "data-testid": "lane-times" }, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
    element("p", { class: "hint", text: `Query into a vector ${ms(encoding)}, search ${ms(searching)}; state ${seq} of the collection` }),
    // Where a plan goes further, its own fusion is told beneath.
    fusion && !trace ? element("p", { class: "hint" }, "score = ", element("code", { text: fusion })) : null,
  );
}

function gateOf(gate, query) {
  const [name, words] = DECISIONS[gate.decision] ?? ["unknown", gate.decision];
  const percent = gate.p_answerable < 0.01 ? "under 1 %" : `${Math.round(100 * gate.p_answerable)} %`;
  const missing = missingWords(gate, query);
  return element(
    "div",
    { class: "explanation-gate", data: { decision: gate.decision }, "data-testid": "gate" },
    element("h3", { class: "label", text: "Gate" }),
    element("p", { class: "gate-decision" }, icon(name), element("strong", { text: words })),
    element(
      "p",
      { class: "gate-probability" },
      element("meter", { min: 0, max: 1, value: gate.p_answerable, "aria-label": "Probability that this can be answered" }),
      element("span", { "data-testid": "gate-probability", text: `answerable ${percent}` }),
    ),
    gate.calibrated
      ? null
      : element("p", { class: "hint", text: "Not fitted on this collection: it orders questions and is no frequency." }),
    missing.length ? element("p", { class: "hint", text: `Not found: ${missing.join(", ")}` }) : null,
    gate.options.length ? element("p", { class: "hint", text: `Would ask: ${gate.options.join(" or ")}` }) : null,
    element(
      "details",
      { class: "gate-features" },
      element("summary", { text: "What it reads" }),
      element("dl", {}, ...Object.entries(gate.features).map(([key, value]) => row(FEATURES[key] ?? key, value.toFixed(3), key))),
    ),
  );
}
