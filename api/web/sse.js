// Server-sent events, from whatever pieces the network cuts them into.

/** Collects text pieces and returns the `data` of every event that they complete. */
export class SseParser {
  #buffer = "";
  #data = [];

  /** Take one piece of text; return the data of the events that it ends. Comments give none. */
  push(text) {
    this.#buffer += text;
    const events = [];
    const lineEnd = /\r\n|\n|\r/g;
    let start = 0;
    for (let match = lineEnd.exec(this.#buffer); match; match = lineEnd.exec(this.#buffer)) {
      // A carriage return at the very end may be the first half of CR LF: wait for the next piece.
      if (match[0] === "\r" && lineEnd.lastIndex === this.#buffer.length) break;
      const event = this.#line(this.#buffer.slice(start, match.index));
      if (event !== null) events.push(event);
      start = lineEnd.lastIndex;
    }
    this.#buffer = this.#buffer.slice(start);
    return events;
  }

  /** Return the events still open at the end of the stream (a server may leave out the last blank line). */
  end() {
    return [...this.push("\n"), ...this.push("\n")];
  }

  #line(line) {
    if (line === "") {
      if (this.#data.length === 0) return null;
      const event = this.#data.join("\n");
      this.#data = [];
      return event;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    if (field === "data") {
      const value = colon < 0 ? "" : line.slice(colon + 1);
      this.#data.push(value.startsWith(" ") ? value.slice(1) : value);
    }
    return null;
  }
}

/** Yield the data of the events of a `fetch` response, as they arrive. */
export async function* readEvents(response) {
  const parser = new SseParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      yield* done ? parser.end() : parser.push(value);
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
