// The service over HTTP: the only file that knows its paths, its error shape and its key.

import { readEvents, SseParser } from "./sse.js";

const KEY = "causerie.api_key";
const UNREACHABLE = "The server cannot be reached. Check that it is still running, then try again.";
const CUT_SHORT = "The connection closed before the answer was complete.";

/** What the server (or the lack of one) said; `message` is meant to be shown as it is. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = null, requestId = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.requestId = requestId;
  }
}

/** Return the error that a failed response describes. */
function toError(status, body, requestId) {
  let error = null;
  try {
    error = JSON.parse(body).error;
  } catch {
    // A proxy or a crashed server may answer with something that is not JSON.
  }
  const message = error?.message || `The server answered with status ${status} and no explanation.`;
  return new ApiError(message, { status, code: error?.code ?? null, requestId });
}

const segment = encodeURIComponent;

export class Api {
  #askForKey;
  #pendingKey = null;
  #model = null;

  /** `askForKey(message)` resolves to a key, or null when the user would rather not. */
  constructor({ askForKey }) {
    this.#askForKey = askForKey;
  }

  /** Headers that identify the user, if a key is known. */
  authorization() {
    const key = sessionStorage.getItem(KEY);
    return key ? { Authorization: `Bearer ${key}` } : {};
  }

  /** Ask for another key, once however many requests were refused; return whether one was given. */
  async renewKey(message) {
    this.#pendingKey ??= this.#askForKey(message).finally(() => {
      this.#pendingKey = null;
    });
    const key = await this.#pendingKey;
    if (key) sessionStorage.setItem(KEY, key);
    return Boolean(key);
  }

  /** Send a request and return its successful response. A background request never asks for a key. */
  async #send(path, { method = "GET", json, signal, accept = "application/json", background = false } = {}) {
    for (;;) {
      const headers = { Accept: accept, ...this.authorization() };
      if (json !== undefined) headers["Content-Type"] = "application/json";
      const body = json === undefined ? undefined : JSON.stringify(json);
      let response;
      try {
        response = await fetch(path, { method, headers, body, signal, cache: "no-store" });
      } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new ApiError(UNREACHABLE);
      }
      if (response.ok) return response;
      const error = toError(response.status, await response.text(), response.headers.get("x-request-id"));
      if (response.status !== 401 || background || !(await this.renewKey(error.message))) throw error;
    }
  }

  async #json(path, options) {
    return (await this.#send(path, options)).json();
  }

  async isReady() {
    try {
      return (await fetch("/readyz", { cache: "no-store" })).ok;
    } catch {
      return false;
    }
  }

  async collections({ background = false } = {}) {
    return (await this.#json("/v1/collections", { background })).data;
  }

  createCollection(name) {
    return this.#json("/v1/collections", { method: "POST", json: { name } });
  }

  async conversations() {
    return (await this.#json("/v1/conversations")).data;
  }

  conversation(id) {
    return this.#json(`/v1/conversations/${segment(id)}`);
  }

  createConversation({ collection, title }) {
    return this.#json("/v1/conversations", { method: "POST", json: { collection, title } });
  }

  deleteConversation(id) {
    return this.#json(`/v1/conversations/${segment(id)}`, { method: "DELETE" });
  }

  /** Say of an answer "up", "down", or "none" to take that back; `turn` numbers the answers from 1. */
  rate({ conversation, turn, rating, comment = "" }) {
    const json = { conversation_id: conversation, turn, rating, comment };
    return this.#json("/v1/feedback", { method: "POST", json });
  }

  passage({ collection, document_id: id, start, end }, context) {
    const span = new URLSearchParams({ start, end, context });
    return this.#json(`/v1/collections/${segment(collection)}/documents/${segment(id)}/passage?${span}`);
  }

  /** Search a collection; `question` is the body of the route. */
  search(collection, question, { signal } = {}) {
    return this.#json(`/v1/collections/${segment(collection)}/search`, { method: "POST", json: question, signal });
  }

  /** Look for the mark; `question` holds `text` or `messages`. */
  detectWatermark(question, { signal } = {}) {
    return this.#json("/v1/watermark/detect", { method: "POST", json: question, signal });
  }

  async bots() {
    return (await this.#json("/v1/bots")).data;
  }

  /** Open a conversation with a bot; resolves to its id and the greeting. */
  openBot({ bot, locale }) {
    return this.#json(`/v1/bots/${segment(bot)}/conversations`, { method: "POST", json: { locale } });
  }

  botState(conversation) {
    return this.#json(`/v1/conversations/${segment(conversation)}/state`);
  }

  decisionCard(conversation, turn) {
    return this.#json(`/v1/conversations/${segment(conversation)}/turns/${turn}`);
  }

  /** Take a conversation over, say something in it, or give it back. */
  operate(conversation, { action, text }) {
    return this.#json(`/v1/conversations/${segment(conversation)}/operator`, { method: "POST", json: { action, text } });
  }

  /** Yield the events of a bot's turn; the last one is the turn. */
  async *sayToBot({ conversation, id, content, button }) {
    const response = await this.#send(`/v1/conversations/${segment(conversation)}/messages`, {
      method: "POST",
      accept: "text/event-stream",
      json: { id, content, button, stream: true },
    });
    yield* this.#events(response);
  }

  /** Yield the chunks of an answer; returns when the server says [DONE], throws on an error event. */
  async *chat({ conversation, content, tools = null, signal }) {
    this.#model ??= (await this.#json("/v1/models", { signal })).data[0]?.id;
    const response = await this.#send("/v1/chat/completions", {
      method: "POST",
      accept: "text/event-stream",
      signal,
      json: {
        model: this.#model,
        messages: [{ role: "user", content }],
        stream: true,
        stream_options: { include_usage: true },
        causerie: tools ? { conversation, tools } : { conversation },
      },
    });
    yield* this.#events(response);
  }

  /** Return the service's own tools, none where it has none. */
  async tools() {
    return (await this.#json("/v1/tools", { background: true })).data;
  }

  /** Return a run of tools with its calls. */
  toolRun(id) {
    return this.#json(`/v1/tool_runs/${segment(id)}`);
  }

  /** Go on with a run after the user's decisions; yields chunks like `chat`. */
  async *decide({ run, decisions, signal }) {
    const response = await this.#send(`/v1/tool_runs/${segment(run)}/decisions`, {
      method: "POST",
      accept: "text/event-stream",
      signal,
      json: { decisions, stream: true },
    });
    yield* this.#events(response);
  }

  /** Yield what a stream of events carries, up to [DONE]. */
  async *#events(response) {
    const requestId = response.headers.get("x-request-id");
    try {
      for await (const data of readEvents(response)) {
        if (data === "[DONE]") return;
        const chunk = JSON.parse(data);
        if (chunk.error) throw new ApiError(chunk.error.message, { code: chunk.error.code, requestId });
        yield chunk;
      }
    } catch (error) {
      if (error.name === "AbortError" || error instanceof ApiError) throw error;
      throw new ApiError(CUT_SHORT, { requestId });
    }
    throw new ApiError(CUT_SHORT, { requestId });
  }

  /**
   * Upload one file. `onBytes(sent, total)` follows the upload, `onProgress({phase, done, total})` the
   * server's work; resolves to the file's `{name, outcome, reason, num_chunks}`.
   * XMLHttpRequest, because `fetch` cannot tell how many bytes of a body have gone out.
   */
  async upload({ collection, file, signal, onBytes, onProgress }) {
    for (;;) {
      try {
        return await this.#uploadOnce({ collection, file, signal, onBytes, onProgress });
      } catch (error) {
        if (error.status !== 401 || !(await this.renewKey(error.message))) throw error;
      }
    }
  }

  #uploadOnce({ collection, file, signal, onBytes, onProgress }) {
    const request = new XMLHttpRequest();
    const parser = new SseParser();
    let read = 0;
    let report = null;
    let failure = null;
    const take = (events) => {
      for (const data of events) {
        if (data === "[DONE]") continue;
        const event = JSON.parse(data);
        if (event.error) failure = new ApiError(event.error.message, { code: event.error.code });
        else if (event.data) [report] = event.data;
        else onProgress(event);
      }
    };
    const readOn = () => {
      if (request.status !== 200) return;
      const text = request.responseText;
      take(parser.push(text.slice(read)));
      read = text.length;
    };
    return new Promise((resolve, reject) => {
      request.open("POST", `/v1/collections/${segment(collection)}/documents`);
      request.setRequestHeader("Accept", "text/event-stream");
      for (const [name, value] of Object.entries(this.authorization())) request.setRequestHeader(name, value);
      request.upload.addEventListener("progress", (event) => onBytes(event.loaded, event.total));
      request.addEventListener("progress", readOn);
      request.addEventListener("error", () => reject(new ApiError(UNREACHABLE)));
      request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
      request.addEventListener("load", () => {
        if (request.status !== 200) {
          reject(toError(request.status, request.responseText, request.getResponseHeader("x-request-id")));
          return;
        }
        readOn();
        take(parser.end());
        if (report) resolve(report);
        else reject(failure ?? new ApiError("The server closed the upload without saying what became of the file."));
      });
      signal.addEventListener("abort", () => request.abort(), { once: true });
      if (signal.aborted) request.abort();
      const form = new FormData();
      form.append("file", file, file.name);
      request.send(form);
    });
  }
}
