// What Streamlit cannot be told: whose bar and whose button it is, that icons are decoration, where to begin, and
// since when the figures cannot follow any more. Part of index.html, see web/assets.py.
{
  const CARD = '[data-testid="stVerticalBlock"]';
  let scheduled = false;
  let form = null;

  function set(element, name, value) {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  }

  function nameBarsAndButtons() {
    for (const heading of document.querySelectorAll(".st-key-cards h2")) {
      const card = heading.closest(CARD);
      const name = heading.querySelector("[data-heading-text]")?.textContent.trim() ?? "";
      const bar = card.querySelector('[role="progressbar"]');
      set(bar, "aria-label", `${name} used`);
      set(bar, "aria-valuetext", card.querySelector('[data-testid="stProgress"] strong')?.textContent ?? "");
      set(card.querySelector("button"), "aria-describedby", heading.id);
    }
  }

  function silenceIcons() {
    for (const icon of document.querySelectorAll('.stApp [role="img"]:not([aria-hidden])')) set(icon, "aria-hidden", "true");
  }

  function focusTheForm() {
    const input = document.querySelector(".st-key-sign-in input");
    if (input && input !== form && document.activeElement === document.body) input.focus();
    form = input;
  }

  function markALostConnection() {
    const app = document.querySelector(".stApp");
    if (!app || !app.querySelector(".st-key-cards")) return;
    if (app.dataset.testConnectionState === "CONNECTED") delete app.dataset.lost;
    else app.dataset.lost ??= new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  }

  function look() {
    scheduled = false;
    nameBarsAndButtons();
    silenceIcons();
    focusTheForm();
    markALostConnection();
  }

  new MutationObserver(() => {
    if (!scheduled) scheduled = Boolean(requestAnimationFrame(look));
  }).observe(document.documentElement, {
    childList: true,
    characterData: true,
    subtree: true,
    attributeFilter: ["data-test-connection-state", "aria-valuetext"],
  });
}
