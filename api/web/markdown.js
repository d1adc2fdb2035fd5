// Markdown → DOM nodes, safely: every word of the model enters as text, and the only elements that can
// come out are those named here. Unknown marks, raw HTML and odd addresses stay visible as text.

import { copyButton, element } from "./element.js";
import { parseBlocks } from "./markdown_blocks.js";
import { parseInline } from "./markdown_inline.js";

const asText = (id) => document.createTextNode(`[${id}]`);

/** Return `source` as nodes. `cite(id)` gives the node of a citation mark; by default the mark's text. */
export function renderMarkdown(source, { cite = asText } = {}) {
  const fragment = document.createDocumentFragment();
  fragment.append(...parseBlocks(source).map((block) => blockNode(block, cite)));
  return fragment;
}

/** An element that shows growing Markdown, and touches only the blocks that changed. */
export class MarkdownView {
  #root;
  #keys = [];

  constructor(root) {
    this.#root = root;
  }

  /** Show `source`. `version` names the state of `cite`: another version draws every block anew. */
  update(source, { cite = asText, version = "" } = {}) {
    const blocks = parseBlocks(source);
    const keys = blocks.map((block) => version + JSON.stringify(block));
    blocks.forEach((block, i) => {
      if (this.#keys[i] === keys[i]) return;
      const old = this.#root.children[i];
      if (old && growCode(old, block)) return;
      const node = blockNode(block, cite);
      if (old) old.replaceWith(node);
      else this.#root.append(node);
    });
    while (this.#root.children.length > blocks.length) this.#root.lastElementChild.remove();
    this.#keys = keys;
  }
}

/** Put more code into a code block that is already there, so that its scroll position stays. */
function growCode(node, block) {
  if (block.type !== "code" || !node.classList.contains("code-block")) return false;
  const code = node.querySelector("code");
  if (code.dataset.language !== block.language) return false;
  code.textContent = block.text;
  return true;
}

function blockNode(block, cite) {
  switch (block.type) {
    case "heading":
      // The page owns the first two levels.
      return element(`h${Math.min(block.level + 2, 6)}`, {}, ...inlineNodes(block.text, cite));
    case "code":
      return codeBlock(block);
    case "rule":
      return element("hr");
    case "quote":
      return element("blockquote", {}, ...block.blocks.map((inner) => blockNode(inner, cite)));
    case "list":
      return listNode(block, cite);
    case "table":
      return tableNode(block, cite);
    default:
      return element("p", {}, ...inlineNodes(block.text, cite));
  }
}

function codeBlock({ language, text }) {
  const code = element("code", { text, data: { language } });
  return element(
    "div",
    { class: "code-block" },
    element(
      "div",
      { class: "code-head" },
      element("span", { text: language || "code" }),
      copyButton(() => code.textContent, "Copy code"),
    ),
    element("pre", { tabindex: "0" }, code),
  );
}

function listNode({ isOrdered, start, items }, cite) {
  const isTight = items.every((blocks) => blocks.filter((block) => block.type === "paragraph").length <= 1);
  const nodes = items.map((blocks) =>
    element(
      "li",
      {},
      ...blocks.flatMap((block) =>
        isTight && block.type === "paragraph" ? inlineNodes(block.text, cite) : [blockNode(block, cite)],
      ),
    ),
  );
  return isOrdered ? element("ol", { start: start === 1 ? null : start }, ...nodes) : element("ul", {}, ...nodes);
}

function tableNode({ head, aligns, rows }, cite) {
  const row = (tag, texts) =>
    element("tr", {}, ...texts.map((text, i) => element(tag, { class: `align-${aligns[i]}` }, ...inlineNodes(text, cite))));
  return element(
    "div",
    { class: "table-scroll", tabindex: "0" },
    element("table", {}, element("thead", {}, row("th", head)), element("tbody", {}, ...rows.map((texts) => row("td", texts)))),
  );
}

const PUNCTUATION = /^[.,;:!?)…]+/;

function inlineNodes(text, cite) {
  return childNodes(parseInline(text), cite);
}

/** Return the nodes of `values`; citation marks stay on the line of the words they belong to. */
function childNodes(values, cite) {
  const nodes = [];
  for (let i = 0; i < values.length; i += 1) {
    if (values[i].type !== "cite") {
      const isBeforeMark = values[i].type === "text" && values[i + 1]?.type === "cite";
      nodes.push(isBeforeMark ? values[i].text.replace(/ $/, "\u00a0") : inlineNode(values[i], cite));
      continue;
    }
    const marks = element("span", { class: "cites" });
    for (; values[i]?.type === "cite"; i += 1) marks.append(inlineNode(values[i], cite));
    const closing = values[i]?.type === "text" ? (PUNCTUATION.exec(values[i].text)?.[0] ?? "") : "";
    marks.append(closing);
    nodes.push(marks);
    if (closing) values[i] = { type: "text", text: values[i].text.slice(closing.length) };
    i -= 1;
  }
  return nodes;
}

function inlineNode(value, cite) {
  const children = () => childNodes(value.children, cite);
  switch (value.type) {
    case "code":
      return element("code", { text: value.text });
    case "strong":
    case "em":
    case "del":
      return element(value.type, {}, ...children());
    case "link":
      return element(
        "a",
        { href: value.href, title: value.href, target: "_blank", rel: "noopener noreferrer nofollow" },
        ...children(),
      );
    case "cite":
      return cite(value.id) ?? asText(value.id);
    case "break":
      return element("br");
    default:
      return document.createTextNode(value.text);
  }
}
