// What Streamlit cannot be told: whose bar and whose button it is, that icons are decoration, where to begin, and
// how long ago the connection was lost, from when on no figure and no age follows any more. Part of index.html, see
// web/assets.py.
{
  const CARD = '[data-testid="stVerticalBlock"]';
  const MINUTE = 60_000;
  const words = new Intl.RelativeTimeFormat("en");
  const announcer = document.createElement("p");
  let scheduled = false;
  let form = null;
  let lostAt = null;

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

  function ago(moment) {
    const minutes = Math.floor((Date.now() - moment) / MINUTE);
    if (minutes < 1) return "just now";
    if (minutes < 60) return words.format(-minutes, "minute");
    if (minutes < 24 * 60) return words.format(-Math.floor(minutes / 60), "hour");
    return words.format(-Math.floor(minutes / (24 * 60)), "day");
  }

  function markALostConnection() {
    const app = document.querySelector(".stApp");
    if (!app?.querySelector(".st-key-cards")) return;
    const isConnected = app.dataset.testConnectionState === "CONNECTED";
    if (isConnected !== (lostAt === null)) {
      lostAt = isConnected ? null : Date.now();
      announcer.textContent = isConnected ? "" : "Connection lost. The figures are as of now.";
    }
    const page = document.documentElement;
    if (isConnected) delete page.dataset.lost;
    else page.dataset.lost = ago(lostAt);
    page.style.setProperty("--panel-lost", `"${page.dataset.lost ?? ""}"`);
  }

  function look() {
    scheduled = false;
    if (!announcer.isConnected) document.body?.append(announcer);
    nameBarsAndButtons();
    silenceIcons();
    focusTheForm();
    markALostConnection();
  }

  announcer.id = "panel-announcer";
  set(announcer, "role", "status");
  setInterval(look, MINUTE / 2);
  new MutationObserver(() => {
    if (!scheduled) scheduled = Boolean(requestAnimationFrame(look));
  }).observe(document.documentElement, {
    childList: true,
    characterData: true,
    subtree: true,
    attributeFilter: ["data-test-connection-state", "aria-valuetext"],
  });
}
