// What the plan of a collection did beyond the fused search: rewrite, lanes, reranking, diversity.

import { element } from "./element.js";

const ms = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

function line(name, ...words) {
  return element("div", {}, element("dt", { text: name }), element("dd", {}, ...words));
}

function listOf(texts, className) {
  return texts.length ? element("ul", { class: className }, ...texts.map((text) => element("li", { text }))) : null;
}

/** Return the part of an explanation that tells how the plan went; `trace` is the service's. */
export function planOf(trace) {
  const lines = [];
  if (trace.query !== trace.asked) lines.push(line(`Rewritten (${trace.rewrite})`, trace.query));
  for (const lane of trace.lanes) {
    const words = `${lane.problem || `${lane.num_found} found`}, ${ms(lane.ms)}`;
    const said = element("span", { class: lane.problem ? "plan-problem" : "", text: words });
    lines.push(line(lane.name, said, listOf(lane.queries.filter((query) => query !== trace.query), "plan-queries")));
  }
  lines.push(line("fusion", trace.fusion));
  if (trace.mmr !== null && trace.mmr !== undefined) lines.push(line("MMR", `${trace.mmr} of relevance, the rest of novelty`));
  if (trace.left_out) lines.push(line("left out", `${trace.left_out} that repeat another`));
  if (trace.rerank) {
    const { name, depth, ms: took, problem } = trace.rerank;
    lines.push(line("reranked", element("span", { class: problem ? "plan-problem" : "", text: `${problem || `the first ${depth} by ${name}`}, ${ms(took)}` })));
  }
  if (trace.knowledge.length) {
    lines.push(line("written by the model", listOf(trace.knowledge, "plan-queries"), element("span", { class: "hint", text: "Searched with; no source, and nothing cites it." })));
  }
  if (trace.problems.length) lines.push(line("problems", listOf(trace.problems, "plan-problem")));
  return element(
    "details",
    { class: "plan", "data-testid": "plan", open: true },
    element("summary", { class: "label", text: "The collection's plan" }),
    element("dl", {}, ...lines),
  );
}
