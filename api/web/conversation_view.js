// The conversation in the middle of the page: what was said, and the answer that is being given.

import { button, element, icon } from "./element.js";
import { AssistantMessage, userMessage } from "./message_view.js";
import { AROUND } from "./verdicts.js";

const NEAR_END = 64; // pixels from the end that still count as reading along
const MAX_TITLE = 80;

const EXAMPLES = [
  "What does the with statement do?",
  "How are default parameter values evaluated?",
  "What is the difference between is and ==?",
];

const byId = (id) => document.getElementById(id);

function toTitle(content) {
  const line = content.trim().replace(/\s+/g, " ");
  return line.length <= MAX_TITLE ? line : `${line.slice(0, MAX_TITLE - 1).trimEnd()}…`;
}

export class ConversationView {
  #api;
  #source;
  #on;
  #conversation = { id: null, collection: null };
  #running = null; // AbortController of the answer in progress
  #visit = 0; // grows with every change of conversation; late answers to an earlier one are dropped
  #isAtEnd = true;
  #scroller = byId("scroller");
  #messages = byId("messages");
  #input = byId("composer-text");

  /**
   * `on`: `opened(conversation)`, `missing(error)` when there is none to open, `asked()`,
   * `created(conversation)` with the first question, `answered()`.
   */
  constructor({ api, source, on }) {
    this.#api = api;
    this.#source = source;
    this.#on = on;
    this.#listen();
  }

  get id() {
    return this.#conversation.id;
  }

  get isRunning() {
    return this.#running !== null;
  }

  #listen() {
    byId("composer-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(this.#input.value);
    });
    this.#input.addEventListener("keydown", (event) => {
      // While an input method is composing a character, Enter belongs to it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send(this.#input.value);
    });
    this.#input.addEventListener("input", () => this.#fitInput());
    byId("stop").addEventListener("click", () => this.stop());
    byId("use-tools").addEventListener("click", ({ currentTarget: node }) => {
      node.setAttribute("aria-pressed", String(node.getAttribute("aria-pressed") !== "true"));
      this.#input.focus();
    });
    this.#scroller.addEventListener("scroll", () => this.#noteScroll(), { passive: true });
    byId("to-end").addEventListener("click", () => this.#toEnd());
    new ResizeObserver(() => this.#follow()).observe(this.#scroller);
  }

  // Which conversation

  /** Begin a conversation with `collection` (null: plain chat); nothing is stored before the first question. */
  begin(collection) {
    this.#leave({ id: null, collection });
    this.#setTitle("New conversation");
    this.showEmpty();
  }

  /** Open the stored conversation `id`. */
  async open(id) {
    const visit = this.#leave({ id, collection: null });
    this.#hideEmpty();
    this.#messages.setAttribute("aria-busy", "true");
    try {
      const conversation = await this.#api.conversation(id);
      if (visit !== this.#visit) return;
      this.#conversation = conversation;
      this.#setTitle(conversation.title || "Conversation");
      this.#on.opened(conversation);
      const { messages } = conversation;
      messages.forEach((message, i) => this.#showStored(message, messages[i - 1]?.content ?? ""));
      this.#closeOptions({ ofLast: messages.at(-1)?.role === "user" });
      if (messages.length === 0) this.showEmpty();
      else if (messages.at(-1).role === "user") this.#showUnanswered(messages.at(-1).content);
      this.#toEnd();
    } catch (error) {
      if (visit !== this.#visit) return;
      if (error.status === 404) this.#on.missing(error);
      else this.#showFailure(error, () => this.open(id));
    } finally {
      if (visit === this.#visit) this.#messages.removeAttribute("aria-busy");
    }
  }

  #leave(conversation) {
    this.stop();
    this.#source.close();
    this.#conversation = conversation;
    this.#messages.replaceChildren();
    this.#visit += 1;
    return this.#visit;
  }

  #setTitle(title) {
    byId("chat-title").textContent = title;
    document.title = title === "New conversation" ? "causerie" : `${title} · causerie`;
  }

  #showStored({ role, content, ...details }, question) {
    if (role === "user") this.#messages.append(userMessage(content));
    if (role !== "assistant") return;
    const message = this.#assistantMessage(question);
    message.append(content);
    message.finish(details, { finishReason: details.finish_reason, rating: details.rating });
    if (details.run) this.#showRun(message, details.run);
  }

  /** Show the calls of a stored answer; those that still wait can be decided. */
  async #showRun(message, id) {
    // Of the answers of one run the last one shows its calls.
    for (const other of this.#messages.querySelectorAll("[data-run]")) {
      if (other.dataset.run === id) other.removeAttribute("data-run");
    }
    message.node.dataset.run = id;
    try {
      const { calls } = await this.#api.toolRun(id);
      if (message.node.dataset.run !== id) return;
      for (const card of calls) message.card(card);
    } catch (error) {
      if (error.status !== 404) throw error; // a run may be forgotten before its words are
    }
  }

  #showUnanswered(content) {
    const message = this.#assistantMessage();
    message.stopped("This question has no stored answer.", this.#again(message, content));
  }

  /** Return what asks `content` once more, in the place of `message`. */
  #again(message, content) {
    return () => {
      if (this.isRunning) return;
      message.node.remove();
      this.#answer(content);
    };
  }

  #showFailure(error, onRetry) {
    this.#messages.append(
      element(
        "div",
        { class: "callout error", role: "alert" },
        icon("alert"),
        element(
          "div",
          { class: "callout-words" },
          element("p", { text: error.message }),
          button({ name: "retry", text: "Try again", className: "link", onClick: onRetry }),
        ),
      ),
    );
  }

  // The empty screen

  /** Show what can be asked, when nothing has been asked yet. `facts` is the collection, if known. */
  showEmpty(facts = null) {
    const { collection } = this.#conversation;
    if (this.#messages.hasChildNodes()) return;
    const isPython = collection === "python";
    const isBare = facts !== null && facts.num_documents === 0 && facts.indexing === null;
    const title =
      collection === null ? "Talk to the model" : isPython ? "Ask the Python language reference" : `Ask ${collection}`;
    const words =
      collection === null
        ? "Plain chat: no source is searched and nothing is cited."
        : isBare
          ? "This collection is still empty. Drop files anywhere on this page, or press Add files."
          : "Answers quote their source word for word. Press a number to read the passage behind it.";
    byId("empty-title").textContent = title;
    byId("empty-words").textContent = words;
    byId("examples").replaceChildren(
      ...(isPython ? EXAMPLES : []).map((question) =>
        element("li", {}, element("button", { type: "button", "data-testid": "example", text: question, on: { click: () => this.send(question) } })),
      ),
    );
    byId("empty").hidden = false;
    byId("messages").hidden = true;
  }

  #hideEmpty() {
    byId("empty").hidden = true;
    byId("messages").hidden = false;
  }

  // A turn

  /** Ask `text`; does nothing while an answer is running or when there are no words in it. */
  send(text) {
    const content = text.trim();
    if (!content || this.isRunning) return;
    this.#on.asked();
    this.#hideEmpty();
    this.#input.value = "";
    this.#fitInput();
    // Only the last question can be asked again: an earlier one would land in the wrong place.
    for (const retry of this.#messages.querySelectorAll("[data-testid=retry]")) retry.remove();
    this.#closeOptions({ ofLast: true });
    this.#messages.append(userMessage(content));
    if (this.id === null) this.#setTitle(toTitle(content));
    this.#answer(content);
  }

  /** Nobody is asked any more what an earlier question meant. */
  #closeOptions({ ofLast }) {
    const answers = [...this.#messages.querySelectorAll("[data-testid=message-assistant]")];
    for (const answer of ofLast ? answers : answers.slice(0, -1)) {
      for (const option of answer.querySelectorAll("[data-testid=clarify-option]")) option.disabled = true;
    }
  }

  /** Stop the answer that is running. */
  stop() {
    this.#running?.abort();
  }

  /** Return the message that answers `question`, added to the conversation. */
  #assistantMessage(question = "") {
    const message = new AssistantMessage({
      question,
      collection: this.#conversation.collection,
      openSource: (citation, opener, kicker) => this.#source.open(citation, opener, kicker),
      read: (citation) => this.#api.passage(citation, AROUND),
      // An option alone would be searched without the question that it belongs to.
      choose: (option) => this.send(`${question} (${option})`),
      decide: (run, decisions) => this.#goOn(run, decisions),
      rate: (answer, rating, comment) => this.#rate(answer, rating, comment),
    });
    this.#messages.append(message.node);
    return message;
  }

  /** Answer `content`, or, with `resumed`, what comes of the user's decisions on calls. */
  async #answer(content, resumed = null) {
    const visit = this.#visit;
    const running = new AbortController();
    const message = this.#assistantMessage(content);
    const again = resumed ? null : this.#again(message, content);
    const tools = byId("use-tools").getAttribute("aria-pressed") === "true" ? {} : null;
    message.onDraw = () => this.#follow();
    message.wait();
    this.#setRunning(running);
    this.#toEnd();
    try {
      await this.#ensureConversation(content, visit);
      const { signal } = running;
      const chunks = resumed ? this.#api.decide({ ...resumed, signal }) : this.#api.chat({ conversation: this.id, content, tools, signal });
      await this.#stream(chunks, message);
      this.#announce(message);
    } catch (error) {
      if (error.name === "AbortError" || running.signal.aborted) message.stopped("Stopped.", again);
      else message.fail(error, again);
    } finally {
      if (this.#running === running) this.#setRunning(null);
      this.#follow();
      if (visit === this.#visit) this.#on.answered();
    }
  }

  async #ensureConversation(content, visit) {
    if (this.id !== null) return;
    const { collection } = this.#conversation;
    const conversation = await this.#api.createConversation({
      collection: collection ?? undefined,
      title: toTitle(content),
    });
    if (visit !== this.#visit) throw new DOMException("left", "AbortError");
    this.#conversation = { ...conversation, collection };
    this.#on.created(conversation);
  }

  /** Say the user's word on calls that waited, and show what comes of it. */
  #goOn(run, decisions) {
    if (this.isRunning) return;
    const agreed = decisions.filter((decision) => decision.approve).length;
    this.#messages.append(userMessage(agreed === decisions.length ? "I agree." : agreed ? "I agree to some of it." : "I do not agree."));
    this.#answer("", { run, decisions });
  }

  /** Say what the reader thinks of an answer; which one it is, its words in the stored log tell. */
  async #rate(answer, rating, comment) {
    const { messages } = await this.#api.conversation(this.id);
    const answers = messages.filter((message) => message.role === "assistant");
    const nodes = [...this.#messages.querySelectorAll("[data-testid=message-assistant]")];
    // Of answers in the same words it is the one that as many follow as on the page.
    const after = nodes.slice(nodes.indexOf(answer.node) + 1).length;
    const same = answers.flatMap(({ content }, i) => (content === answer.text ? [i] : []));
    const distance = (i) => Math.abs(answers.length - 1 - i - after);
    const at = same.sort((a, b) => distance(a) - distance(b))[0];
    if (at === undefined) throw new Error("This answer was not stored, so it cannot be rated.");
    return this.#api.rate({ conversation: this.id, turn: at + 1, rating, comment });
  }

  async #stream(chunks, message) {
    let details = {};
    let usage = null;
    let finishReason = null;
    for await (const chunk of chunks) {
      const choice = chunk.choices?.[0];
      const extension = chunk.causerie ?? choice?.delta?.causerie;
      if (extension?.evidence) message.found(extension.evidence);
      if (extension?.tool) message.card(extension.tool);
      if (choice?.delta?.content) message.append(choice.delta.content);
      if (extension && !extension.evidence && !extension.tool) details = extension;
      if (chunk.usage) usage = chunk.usage;
      finishReason = choice?.finish_reason ?? finishReason;
    }
    // Our own word tells a deadline from a full length; the protocol's does not.
    message.finish(details, { finishReason: details.finish_reason ?? finishReason, usage });
  }

  #setRunning(running) {
    const focused = document.activeElement;
    const [send, stop] = [byId("send"), byId("stop")];
    this.#running = running;
    send.hidden = running !== null;
    stop.hidden = running === null;
    // The button under the focus has just gone; keep the focus in the composer. On a touch screen
    // that would bring the keyboard up over the answer.
    if (matchMedia("(pointer: coarse)").matches) return;
    if (focused === send || focused === stop || focused === document.body) this.#input.focus();
  }

  #announce(message) {
    const sources = message.node.querySelectorAll(".cite").length;
    byId("announcer").textContent = sources ? `Answer complete, ${sources} citations.` : "Answer complete.";
  }

  // Scrolling: follow the answer only while the reader is at its end

  #noteScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
    byId("to-end").hidden = this.#isAtEnd;
  }

  #follow() {
    if (this.#isAtEnd) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    else this.#noteScroll();
  }

  #toEnd() {
    this.#isAtEnd = true;
    this.#follow();
    byId("to-end").hidden = true;
  }

  #fitInput() {
    this.#input.style.height = "auto";
    this.#input.style.height = `${this.#input.scrollHeight}px`;
  }
}
