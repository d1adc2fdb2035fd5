// Building DOM nodes. Text always goes in as text: nothing here, or anywhere, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  close: "M6 6l12 12M18 6L6 18",
  trash: "M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12M10.5 10.5v5.5M13.5 10.5v5.5",
  copy: "M9 9h10v10H9zM15 9V5H5v10h4",
  retry: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4",
  note: "M12 8h.01M12 11.5V16M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 0 0 0-17z",
  alert: "M12 9v4.5M12 17h.01M12 4L2.8 19.5h18.4z",
  unknown: "M9.5 9.2a2.6 2.6 0 1 1 3.7 2.6c-.8.5-1.2 1-1.2 1.9M12 17h.01M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 0 0 0-17z",
  file: "M7 3.5h7l4 4v13H7zM14 3.5v4h4",
  up: "M7.5 11v9H4v-9zM7.5 11l4-7.2c1.5 0 2.4 1.2 2.1 2.6L12.8 10H19c1.1 0 1.9 1 1.7 2.1l-1.2 6.3c-.2.9-.9 1.6-1.9 1.6H7.5",
  down: "M16.5 13V4H20v9zM16.5 13l-4 7.2c-1.5 0-2.4-1.2-2.1-2.6l.8-3.6H5c-1.1 0-1.9-1-1.7-2.1l1.2-6.3C4.7 4.7 5.4 4 6.4 4h10.1",
  done: "M5 12.5l4.5 4.5L19 7.5",
};

/**
 * Return a new element. `properties`: `class`, `text`, `on` (event listeners), `data` (dataset);
 * everything else is an attribute, where false and null leave it out and true sets it empty.
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Return a decorative line icon. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Return a button that shows an icon, and a label when `text` is given. */
export function button({ name, text = "", label = null, className = "quiet", onClick, testid = null }) {
  return element(
    "button",
    {
      type: "button",
      class: text ? className : `${className} icon-only`,
      "aria-label": label,
      title: text ? null : label,
      "data-testid": testid,
      on: { click: onClick },
    },
    name ? icon(name) : null,
    text ? element("span", { text }) : null,
  );
}

/** Return a button that copies what `read()` returns and says so for a moment. */
export function copyButton(read, label) {
  const words = element("span", { text: "Copy" });
  const node = element("button", { type: "button", class: "quiet copy", "aria-label": label }, icon("copy"), words);
  node.addEventListener("click", async () => {
    words.textContent = (await copyText(read())) ? "Copied" : "Copy failed";
    setTimeout(() => {
      words.textContent = "Copy";
    }, 1600);
  });
  return node;
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard interface needs a secure context; plain http on a home network has none.
    const area = element("textarea", { class: "visually-hidden", "aria-hidden": "true", tabindex: "-1" });
    const focused = document.activeElement;
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return copied;
  }
}
