// Markdown as blocks: source → plain values. Knows nothing of the DOM.
//
// A block is {type: "paragraph"|"heading", text, …}, {type: "code", language, text}, {type: "rule"},
// {type: "quote", blocks}, {type: "list", isOrdered, start, items: [blocks]} or
// {type: "table", head: [text], aligns, rows: [[text]]}.

const MAX_DEPTH = 8;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*))?$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])( +|$)(.*)$/;
const INDENTED = /^(?: {4}|\t)/;

const isBlank = (line) => line.trim() === "";
const indentOf = (line) => line.length - line.trimStart().length;

function isRule(line) {
  const marks = line.replace(/\s/g, "");
  return indentOf(line) < 4 && marks.length >= 3 && /^(?:-+|\*+|_+)$/.test(marks);
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function isTableAt(lines, i) {
  if (!lines[i].includes("|") || i + 1 >= lines.length || !lines[i + 1].includes("-")) return false;
  const delimiters = cells(lines[i + 1]);
  return delimiters.every((cell) => /^:?-+:?$/.test(cell)) && delimiters.length === cells(lines[i]).length;
}

function interruptsParagraph(line) {
  if (FENCE.test(line) || HEADING.test(line) || QUOTE.test(line) || isRule(line)) return true;
  const item = ITEM.exec(line);
  // A line that happens to begin with "1984." is prose; a list inside a paragraph begins with 1.
  return Boolean(item && item[4] && (/[-*+]/.test(item[2]) || Number.parseInt(item[2], 10) === 1));
}

/** Return the blocks of `source`. Whatever is still open at its end (a fence, a list) counts as closed. */
export function parseBlocks(source) {
  return parseLines(source.replace(/\r\n?/g, "\n").split("\n"), 0);
}

function parseLines(lines, depth) {
  const blocks = [];
  let i = 0;
  while (i < lines.length) {
    if (isBlank(lines[i])) {
      i += 1;
      continue;
    }
    const [block, next] = blockAt(lines, i, depth);
    blocks.push(block);
    i = next;
  }
  return blocks;
}

function blockAt(lines, i, depth) {
  const line = lines[i];
  if (INDENTED.test(line)) return indentedCode(lines, i);
  const fence = FENCE.exec(line);
  if (fence) return fencedCode(lines, i, fence);
  const heading = HEADING.exec(line);
  if (heading) {
    const text = (heading[2] ?? "").replace(/\s#+\s*$/, "");
    return [{ type: "heading", level: heading[1].length, text }, i + 1];
  }
  if (isRule(line)) return [{ type: "rule" }, i + 1];
  if (depth < MAX_DEPTH) {
    if (QUOTE.test(line)) return quote(lines, i, depth);
    if (ITEM.test(line)) return list(lines, i, depth);
  }
  if (isTableAt(lines, i)) return table(lines, i);
  return paragraph(lines, i);
}

function indentedCode(lines, i) {
  const code = [];
  while (i < lines.length && (INDENTED.test(lines[i]) || isBlank(lines[i]))) {
    code.push(lines[i].replace(INDENTED, ""));
    i += 1;
  }
  return [{ type: "code", language: "", text: code.join("\n").trimEnd() }, i];
}

function fencedCode(lines, i, [opening, fence, language]) {
  const indent = indentOf(opening);
  const code = [];
  for (i += 1; i < lines.length; i += 1) {
    const bare = lines[i].trim();
    const isEnd = bare.length >= fence.length && bare === fence[0].repeat(bare.length) && indentOf(lines[i]) < 4;
    if (isEnd) return [{ type: "code", language, text: code.join("\n") }, i + 1];
    code.push(lines[i].slice(Math.min(indent, indentOf(lines[i]))));
  }
  return [{ type: "code", language, text: code.join("\n") }, i];
}

function quote(lines, i, depth) {
  const inner = [];
  while (i < lines.length && QUOTE.test(lines[i])) {
    inner.push(lines[i].replace(QUOTE, ""));
    i += 1;
  }
  return [{ type: "quote", blocks: parseLines(inner, depth + 1) }, i];
}

function list(lines, i, depth) {
  const first = ITEM.exec(lines[i]);
  const isOrdered = /\d/.test(first[2]);
  const kind = first[2].at(-1);
  const block = { type: "list", isOrdered, start: isOrdered ? Number.parseInt(first[2], 10) : 1, items: [] };
  while (i < lines.length) {
    const item = ITEM.exec(lines[i]);
    if (!item || item[2].at(-1) !== kind || isRule(lines[i])) break;
    const [inner, next] = itemLines(lines, i, item);
    block.items.push(parseLines(inner, depth + 1));
    i = next;
    let ahead = i;
    while (ahead < lines.length && isBlank(lines[ahead])) ahead += 1;
    if (ahead < lines.length && ITEM.test(lines[ahead])) i = ahead;
  }
  return [block, i];
}

/** Return the lines of one list item without its indentation, and the line after it. */
function itemLines(lines, i, [, indent, marker, gap, text]) {
  const width = indent.length + marker.length + Math.min(Math.max(gap.length, 1), 4);
  const inner = [text];
  for (i += 1; i < lines.length; i += 1) {
    const line = lines[i];
    if (isBlank(line)) {
      const next = lines.slice(i + 1).find((later) => !isBlank(later));
      if (next === undefined || indentOf(next) < width) break;
      inner.push("");
    } else if (indentOf(line) >= width) inner.push(line.slice(width));
    else if (isBlank(inner.at(-1)) || ITEM.test(line) || interruptsParagraph(line)) break;
    else inner.push(line.trimStart()); // a paragraph's next line needs no indentation
  }
  return [inner, i];
}

function table(lines, i) {
  const head = cells(lines[i]);
  const aligns = cells(lines[i + 1]).map((cell) => {
    if (!cell.endsWith(":")) return "left";
    return cell.startsWith(":") ? "center" : "right";
  });
  const rows = [];
  for (i += 2; i < lines.length && lines[i].includes("|") && !isBlank(lines[i]); i += 1) {
    const row = cells(lines[i]);
    rows.push(head.map((_, column) => row[column] ?? ""));
  }
  return [{ type: "table", head, aligns, rows }, i];
}

function paragraph(lines, i) {
  const text = [lines[i].trimStart()];
  for (i += 1; i < lines.length && !isBlank(lines[i]); i += 1) {
    if (interruptsParagraph(lines[i]) || isTableAt(lines, i)) break;
    text.push(lines[i].trimStart());
  }
  return [{ type: "paragraph", text: text.join("\n").trimEnd() }, i];
}
