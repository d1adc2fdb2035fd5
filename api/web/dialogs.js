// The three questions the page may put in front of everything else. Each returns a promise.

const byId = (id) => document.getElementById(id);

/**
 * Show `dialog`; resolve to what `accept()` returns on submit, or to null when it is closed.
 * `accept` may be asynchronous; undefined keeps the dialog open.
 */
function ask(dialog, accept) {
  const focused = document.activeElement;
  const form = dialog.querySelector("form");
  return new Promise((resolve) => {
    let answer = null;
    const listening = new AbortController();
    const { signal } = listening;
    form.addEventListener(
      "submit",
      async (event) => {
        event.preventDefault();
        const result = await accept();
        if (result === undefined) return;
        answer = result;
        dialog.close();
      },
      { signal },
    );
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close(), { signal });
    dialog.addEventListener(
      "close",
      () => {
        listening.abort();
        form.reset();
        if (focused?.isConnected) focused.focus();
        resolve(answer);
      },
      { signal },
    );
    dialog.showModal();
  });
}

/** Ask a yes-or-no question about something that cannot be undone; resolve to whether it was yes. */
export async function confirm({ title, words, yes }) {
  byId("confirm-title").textContent = title;
  byId("confirm-words").textContent = words;
  byId("confirm-yes").textContent = yes;
  return (await ask(byId("confirm-dialog"), () => true)) === true;
}

/** Ask for an API key; `message` is what the server said. */
export function askForKey(message) {
  byId("key-words").textContent = message;
  const dialog = byId("key-dialog");
  return ask(dialog, () => byId("key-input").value.trim() || undefined);
}

/** Ask for a name and create the collection with `create(name)`; resolve to it, or to null. */
export function askForCollection(create) {
  const problem = byId("collection-error");
  problem.textContent = "";
  return ask(byId("collection-dialog"), async () => {
    try {
      return await create(byId("collection-input").value.trim());
    } catch (error) {
      problem.textContent = error.message;
      return undefined;
    }
  });
}
