// Runs before the first paint, so that a remembered theme never flashes. No module: modules are deferred.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("causerie.theme");
  } catch {
    // Storage may be refused (private windows); the system's preference then decides.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
