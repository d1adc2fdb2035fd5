// The list of past conversations, and the drawer that it becomes on a narrow screen.

import { confirm } from "./dialogs.js";
import { button, element } from "./element.js";

const byId = (id) => document.getElementById(id);
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** Return how long ago `when` (ISO text or Unix seconds) was. */
export function ago(when, now = Date.now()) {
  const then = typeof when === "number" ? when * 1000 : Date.parse(when);
  if (Number.isNaN(then)) return "";
  const minutes = Math.round((now - then) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return relative.format(-minutes, "minute");
  if (minutes < 60 * 24) return relative.format(-Math.round(minutes / 60), "hour");
  return relative.format(-Math.round(minutes / 60 / 24), "day");
}

export class Sidebar {
  #api;
  #on;
  #current = null;
  #list = byId("conversation-list");
  #narrow = matchMedia("(max-width: 860px)");

  /** `on`: `open(id)`, `begin()` and `deleted(id)`. */
  constructor({ api, on }) {
    this.#api = api;
    this.#on = on;
    byId("new-conversation").addEventListener("click", () => {
      this.close();
      on.begin();
    });
    byId("sidebar-open").addEventListener("click", () => this.#toggle(true));
    byId("sidebar-close").addEventListener("click", () => this.close());
    byId("scrim").addEventListener("click", () => this.close());
    this.#narrow.addEventListener("change", () => this.#toggle(false));
    this.#toggle(false);
  }

  get isOpen() {
    return document.body.classList.contains("menu-open");
  }

  close() {
    if (!this.isOpen) return;
    this.#toggle(false);
    byId("sidebar-open").focus();
  }

  #toggle(isOpen) {
    document.body.classList.toggle("menu-open", isOpen);
    byId("scrim").hidden = !isOpen;
    byId("sidebar-open").setAttribute("aria-expanded", String(isOpen));
    // What is off the screen must not be reachable by the Tab key either.
    byId("sidebar").inert = this.#narrow.matches && !isOpen;
    byId("chat").inert = isOpen;
    if (isOpen) byId("sidebar-close").focus();
  }

  /** Mark `id` (null: none) as the conversation on the page. */
  mark(id) {
    this.#current = id;
    for (const open of this.#list.querySelectorAll("[data-conversation]")) {
      if (open.dataset.conversation === id) open.setAttribute("aria-current", "page");
      else open.removeAttribute("aria-current");
    }
  }

  async refresh() {
    const conversations = await this.#api.conversations();
    byId("no-conversations").hidden = conversations.length > 0;
    this.#list.replaceChildren(...conversations.map((conversation) => this.#row(conversation)));
    this.mark(this.#current);
  }

  #row({ id, title, collection, updated_at: updatedAt }) {
    const name = title || "Untitled";
    return element(
      "li",
      { class: "conversation" },
      element(
        "button",
        {
          type: "button",
          class: "conversation-open",
          data: { conversation: id },
          title: name,
          on: {
            click: () => {
              this.close();
              this.#on.open(id);
            },
          },
        },
        element("span", { class: "conversation-title", text: name }),
        element("span", { class: "conversation-facts", text: [collection ?? "plain chat", ago(updatedAt)].filter(Boolean).join(" · ") }),
      ),
      button({
        name: "trash",
        label: `Delete the conversation “${name}”`,
        testid: "conversation-delete",
        onClick: (event) => this.#delete(id, name, event.currentTarget.closest("li")),
      }),
    );
  }

  async #delete(id, name, row) {
    const words = `“${name}” and its answers will be removed. This cannot be undone.`;
    if (!(await confirm({ title: "Delete this conversation?", words, yes: "Delete" }))) return;
    try {
      await this.#api.deleteConversation(id);
    } catch (error) {
      row.querySelector(".row-error")?.remove();
      row.append(element("p", { class: "row-error", role: "alert", text: error.message }));
      return;
    }
    this.#on.deleted(id);
    await this.refresh();
    (this.#list.querySelector(".conversation-open") ?? byId("new-conversation")).focus();
  }
}
