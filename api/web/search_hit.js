// One passage that was found: where it stands, its words with those of the query marked, its scores.

import { button, element } from "./element.js";
import { unwrap } from "./source_panel.js";

/**
 * Return `text` in pieces, with `spans` in marks. Spans count characters as the service does, which
 * are code points; a string here counts an emoji as two.
 */
export function marked(text, spans) {
  const points = Array.from(text);
  const pieces = [];
  let at = 0;
  for (const [start, end] of spans) {
    if (start > at) pieces.push(points.slice(at, start).join(""));
    pieces.push(element("mark", { text: points.slice(start, end).join("") }));
    at = end;
  }
  pieces.push(points.slice(at).join(""));
  return pieces;
}

/** Return the title and the headings above a passage; a title that is the first heading stands once. */
export function pathOf({ title, uri, heading_path: headings }) {
  const name = title || uri;
  return headings[0] === name ? headings : [name, ...headings];
}

/** Return the item of a hit; `lanes` are those that were asked, `open(opener)` shows the document. */
export function hitOf(hit, { lanes, open }) {
  const [name, ...headings] = pathOf(hit);
  const title = element(
    "h3",
    { class: "hit-title", "data-testid": "hit-path" },
    element("span", { text: name }),
    ...headings.flatMap((heading) => [
      element("span", { class: "hit-sep", "aria-hidden": "true", text: "›" }),
      element("span", { class: "hit-heading", text: heading }),
    ]),
  );
  const opener = button({
    name: "file",
    text: "Open in the document",
    className: "link",
    testid: "hit-open",
    onClick: () => open(opener),
  });
  opener.setAttribute("aria-controls", "source-panel");
  opener.setAttribute("aria-expanded", "false");
  return element(
    "li",
    { class: "hit", "data-testid": "hit" },
    element(
      "header",
      { class: "hit-head" },
      element("span", { class: "hit-rank", text: hit.rank }),
      element("div", { class: "hit-names" }, title, element("p", { class: "source-uri", text: `${hit.uri} · bytes ${hit.start}–${hit.end}` })),
      element("p", { class: "hit-score" }, element("span", { class: "label", text: "score" }), element("strong", { "data-testid": "hit-score", text: hit.score.toFixed(3) })),
    ),
    element("div", { class: "hit-text", "data-testid": "hit-text" }, ...marked(unwrap(hit.text), hit.highlights)),
    element("footer", { class: "hit-foot" }, placesOf(hit, lanes), opener),
  );
}

function placesOf({ lanes: places, prior }, lanes) {
  if (!places) return null;
  // A plan may have lanes that nobody asked for by name.
  const names = [...lanes, ...Object.keys(places).filter((lane) => !lanes.includes(lane))];
  const items = names.map((lane) => {
    const place = places[lane];
    return element(
      "li",
      { class: place ? "lane-place" : "lane-place absent", data: { lane } },
      element("span", { class: "lane-name", text: lane }),
      element("span", { text: place ? `rank ${place.rank}` : "not found" }),
      place ? element("span", { class: "lane-score", text: place.score.toFixed(3) }) : null,
    );
  });
  const sign = prior > 0 ? "+" : "";
  if (prior === null || prior === undefined) return listOf(items);
  items.push(
    element(
      "li",
      { class: prior ? "lane-place" : "lane-place absent", data: { lane: "prior" } },
      element("span", { class: "lane-name", text: "prior" }),
      element("span", { class: "lane-score", text: prior ? `${sign}${prior.toFixed(2)}` : "none" }),
    ),
  );
  return listOf(items);
}

function listOf(items) {
  return element("ul", { class: "lane-places", "data-testid": "hit-lanes", "aria-label": "Where it stands in each lane" }, ...items);
}
