// What the reader thinks of an answer: two thumbs, and a word on what would have been right.

import { button, element } from "./element.js";

let number = 0;

export class Thumbs {
  #rate;
  #rating;
  #up;
  #down;
  #status = element("span", { class: "thumbs-status", role: "status", "data-testid": "thumbs-status" });
  #form;
  #input;

  /** `rate(rating, comment)` tells the service; `rating` is what was said before, null for nothing. */
  constructor({ rate, rating = null }) {
    this.#rate = rate;
    this.#rating = rating;
    this.#up = this.#thumb("up", "Good answer");
    this.#down = this.#thumb("down", "Bad answer");
    this.#form = this.#makeForm();
    this.node = element("div", { class: "thumbs", role: "group", "aria-label": "Your opinion" }, this.#up, this.#down, this.#status, this.#form);
    this.#draw();
  }

  #thumb(rating, label) {
    return button({ name: rating, label, className: "quiet thumb", onClick: () => this.#press(rating), testid: `thumb-${rating}` });
  }

  #makeForm() {
    const id = `thumbs-comment-${++number}`;
    this.#input = element("input", { id, type: "text", maxlength: 2000, autocomplete: "off", "data-testid": "thumbs-comment" });
    const form = element(
      "form",
      { class: "thumbs-form", hidden: true },
      element("label", { for: id, text: "What would have been right? (optional)" }),
      element("div", { class: "row" }, this.#input, element("button", { type: "submit", class: "secondary", text: "Send" })),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#closeForm();
      this.#send("down", this.#input.value.trim());
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#closeForm();
    });
    return form;
  }

  #closeForm() {
    this.#form.hidden = true;
    this.#down.focus();
  }

  async #press(rating) {
    const isTakenBack = this.#rating === rating;
    this.#form.hidden = true;
    if (!(await this.#send(isTakenBack ? "none" : rating)) || isTakenBack || rating === "up") return;
    this.#form.hidden = false;
    this.#input.focus();
  }

  async #send(rating, comment = "") {
    const before = this.#rating;
    this.#rating = rating === "none" ? null : rating;
    this.#draw();
    try {
      await this.#rate(rating, comment);
      this.#status.textContent = rating === "none" ? "Taken back" : comment ? "Thank you, noted" : "Thank you";
      return true;
    } catch (error) {
      this.#rating = before;
      this.#draw();
      this.#status.textContent = error.message;
      return false;
    }
  }

  #draw() {
    this.#up.setAttribute("aria-pressed", String(this.#rating === "up"));
    this.#down.setAttribute("aria-pressed", String(this.#rating === "down"));
  }
}
