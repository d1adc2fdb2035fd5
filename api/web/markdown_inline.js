// Markdown inside a line of text: source → plain values. Knows nothing of the DOM.
//
// A value is {type: "text"|"code", text}, {type: "strong"|"em"|"del", children},
// {type: "link", href, children}, {type: "cite", id} or {type: "break"}.

const MAX_DEPTH = 10;
const WORD = /[\p{L}\p{N}]/u;
const SPACE = /\s/;
// "(address)", which may hold one pair of parentheses and be followed by a "title".
const ADDRESS = /^\(\s*<?([^\s<>()]{1,2000}(?:\([^\s<>()]{0,200}\)[^\s<>()]{0,200})?)>?(?:\s+"[^"]{0,300}")?\s*\)/;
const ESCAPABLE = /[!-/:-@[-`{-~]/;

/** Return `href` when it is a plain web address, else null: no other scheme is ever made a link. */
export function safeHref(href) {
  if (!/^https?:\/\//i.test(href)) return null;
  try {
    const url = new URL(href);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** Return the inline values of `source`. */
export function parseInline(source, depth = 0) {
  return new InlineParser(source, depth).parse();
}

class InlineParser {
  #source;
  #depth;
  #position = 0;
  #text = "";
  #values = [];
  // Openers known to have no closer ahead: what comes later has none either, so no second search.
  #hopeless = new Set();

  constructor(source, depth) {
    this.#source = source;
    this.#depth = depth;
  }

  parse() {
    while (this.#position < this.#source.length) {
      const taken = this.#depth < MAX_DEPTH && this.#special(this.#source[this.#position]);
      if (!taken) {
        this.#text += this.#source[this.#position];
        this.#position += 1;
      }
    }
    this.#flush();
    return this.#values;
  }

  #special(character) {
    switch (character) {
      case "\\":
        return this.#escape();
      case "\n":
        return this.#newline();
      case "`":
        return this.#code();
      case "[":
        return this.#citation() || this.#link(this.#position);
      case "!":
        return this.#source[this.#position + 1] === "[" && this.#link(this.#position + 1);
      case "<":
        return this.#angleLink();
      case "*":
      case "_":
      case "~":
        return this.#emphasis(character);
      case "h":
        return this.#bareLink();
      default:
        return false;
    }
  }

  #flush() {
    if (this.#text) this.#values.push({ type: "text", text: this.#text });
    this.#text = "";
  }

  #emit(value, end) {
    this.#flush();
    this.#values.push(value);
    this.#position = end;
    return true;
  }

  #escape() {
    const next = this.#source[this.#position + 1];
    if (next === "\n") return this.#emit({ type: "break" }, this.#position + 2);
    if (next === undefined || !ESCAPABLE.test(next)) return false;
    this.#text += next;
    this.#position += 2;
    return true;
  }

  #newline() {
    const isHard = this.#text.endsWith("  ");
    this.#text = this.#text.trimEnd();
    if (isHard) return this.#emit({ type: "break" }, this.#position + 1);
    this.#text += " ";
    this.#position += 1;
    return true;
  }

  #code() {
    const fence = /^`+/.exec(this.#source.slice(this.#position, this.#position + 80))[0];
    const start = this.#position + fence.length;
    const name = `code${fence.length}`;
    for (let end = this.#hopeless.has(name) ? -1 : this.#source.indexOf(fence, start); end >= 0; ) {
      let after = end + fence.length;
      while (this.#source[after] === "`") after += 1;
      if (after - end === fence.length) {
        const text = this.#source.slice(start, end).replaceAll("\n", " ");
        const isPadded = text.startsWith(" ") && text.endsWith(" ") && text.trim() !== "";
        return this.#emit({ type: "code", text: isPadded ? text.slice(1, -1) : text }, after);
      }
      end = this.#source.indexOf(fence, after);
    }
    this.#hopeless.add(name);
    this.#text += fence; // the whole run is text, or a later part of it would open a span
    this.#position = start;
    return true;
  }

  /** `[2]` or `[1, 3]`, but not `rows[2]`, which is an expression, and not `[2](address)`. */
  #citation() {
    const before = this.#source[this.#position - 1];
    if (before !== undefined && (WORD.test(before) || before === "_")) return false;
    const match = /^\[(\d{1,3}(?:, ?\d{1,3}){0,7})\](?!\()/.exec(this.#source.slice(this.#position, this.#position + 48));
    if (!match) return false;
    this.#flush();
    for (const id of match[1].split(",")) this.#values.push({ type: "cite", id: Number(id) });
    this.#position += match[0].length;
    return true;
  }

  /** `[words](address)`; an image becomes a link to it, so that no foreign server is asked for anything. */
  #link(open) {
    if (this.#hopeless.has("link")) return false;
    const middle = this.#source.indexOf("](", open);
    if (middle < 0) this.#hopeless.add("link");
    if (middle < 0 || middle - open > 1000) return false;
    const words = this.#source.slice(open + 1, middle);
    const match = /[[\]]/.test(words) ? null : ADDRESS.exec(this.#source.slice(middle + 1, middle + 3000));
    if (!match) return false;
    const href = safeHref(match[1]);
    const end = middle + 1 + match[0].length;
    const children = parseInline(words || match[1], this.#depth + 1).filter((value) => value.type !== "link");
    if (href) return this.#emit({ type: "link", href, children }, end);
    this.#flush();
    this.#values.push(...children);
    this.#position = end;
    return true;
  }

  #angleLink() {
    const match = /^<(https?:\/\/[^\s<>]{1,2000})>/i.exec(this.#source.slice(this.#position, this.#position + 2010));
    return match ? this.#address(match[1], this.#position + match[0].length) : false;
  }

  #bareLink() {
    const before = this.#source[this.#position - 1];
    if (before !== undefined && WORD.test(before)) return false;
    const match = /^https?:\/\/[^\s<>"'`]{2,2000}/i.exec(this.#source.slice(this.#position, this.#position + 2010));
    if (!match) return false;
    let address = match[0].replace(/[.,;:!?*_~\]]+$/, "");
    if (address.endsWith(")") && !address.includes("(")) address = address.slice(0, -1);
    return this.#address(address, this.#position + address.length);
  }

  #address(address, end) {
    const href = safeHref(address);
    return href ? this.#emit({ type: "link", href, children: [{ type: "text", text: address }] }, end) : false;
  }

  #emphasis(character) {
    const start = this.#position;
    let size = 1;
    while (this.#source[start + size] === character) size += 1;
    const isEmphasis = character === "~" ? size === 2 : size <= 3;
    const before = this.#source[start - 1] ?? " ";
    const after = this.#source[start + size] ?? " ";
    const close = isEmphasis && !WORD.test(before) && !SPACE.test(after) ? this.#closer(character, size) : -1;
    const inner = close < 0 ? "" : this.#source.slice(start + size, close);
    // `__init__` is a name of Python, not a loud "init".
    if (close < 0 || (character === "_" && size === 2 && /^\w+$/.test(inner))) {
      this.#text += character.repeat(size);
      this.#position = start + size;
      return true;
    }
    let children = parseInline(inner, this.#depth + 1);
    if (size === 3) children = [{ type: "em", children }];
    const type = character === "~" ? "del" : size === 1 ? "em" : "strong";
    return this.#emit({ type, children }, close + size);
  }

  /** Return where the run of `size` characters that closes an emphasis begins, or -1. */
  #closer(character, size) {
    const name = character + size;
    if (this.#hopeless.has(name)) return -1;
    const run = character.repeat(size);
    for (let at = this.#source.indexOf(run, this.#position + size + 1); at >= 0; ) {
      let end = at + size;
      while (this.#source[end] === character) end += 1;
      const after = this.#source[end] ?? " ";
      if (end - at === size && !SPACE.test(this.#source[at - 1]) && !WORD.test(after) && !this.#isInCode(at)) return at;
      at = this.#source.indexOf(run, end);
    }
    this.#hopeless.add(name);
    return -1;
  }

  #isInCode(at) {
    let ticks = 0;
    for (let i = this.#position; i < at; i += 1) if (this.#source[i] === "`") ticks += 1;
    return ticks % 2 === 1;
  }
}
