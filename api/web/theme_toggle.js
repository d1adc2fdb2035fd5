// The button that changes the theme and remembers it; `theme.js` applies it before the first paint.

export function listenToTheme(button) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => {
    const words = `Use the ${isDark() ? "light" : "dark"} theme`;
    button.setAttribute("aria-label", words);
    button.title = words;
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("causerie.theme", root.dataset.theme);
    } catch {
      // Not remembered, then; the choice holds until the page is left.
    }
    label();
  });
  system.addEventListener("change", label);
  label();
}
