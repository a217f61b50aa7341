// What Streamlit cannot be told: whose bar and whose button it is, that icons are decoration, where to begin, which
// link has the focus, and how long ago the connection was lost; figures and ages are not updated after that. Part of
// index.html, see web/assets.py.
{
  const CARD = '[data-testid="stVerticalBlock"]';
  const MINUTE = 60_000;
  const words = new Intl.RelativeTimeFormat("en");
  const announcer = document.createElement("p");
  let scheduled = false;
  let form = null;
  let link = null; // the overview's that has the focus, and where it led when it got it
  let href = null;
  let heardAt = Date.now(); // the last sign of the server; a computer that slept notices a loss long after it
  let lostAt = null;
  let refreshing = new Map(); // by a card's heading
  let isAwaited = false; // a person clicked Refresh
  const finished = new Set();

  function set(element, name, value) {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  }

  function nameOf(heading) {
    const words = [...(heading.querySelector("[data-heading-text]")?.childNodes ?? [])];
    return words.filter((node) => !node.classList?.contains("stMarkdownBadge")).map((node) => node.textContent).join("").trim();
  }

  function nameBarsAndButtons() {
    for (const heading of document.querySelectorAll(".st-key-cards h2")) {
      const card = heading.closest(CARD);
      const name = nameOf(heading);
      const bar = card.querySelector('[role="progressbar"]');
      set(bar, "aria-label", `${name} used`);
      set(bar, "aria-valuetext", card.querySelector('[data-testid="stProgress"] span strong')?.textContent ?? "");
      set(card.querySelector("button"), "aria-describedby", heading.id);
    }
  }

  // Says what a click on Refresh brought, once, to those who do not see it.
  function announceRefreshed() {
    const now = new Map();
    for (const heading of document.querySelectorAll(".st-key-cards h2")) {
      now.set(heading.id, heading.querySelector(".stMarkdownBadge")?.textContent.includes("Refreshing"));
    }
    for (const [id, isRefreshing] of refreshing) if (isRefreshing && now.get(id) === false) finished.add(id);
    refreshing = now;
    if ([...now.values()].includes(true) || !finished.size) return;
    const failed = [...finished].filter((id) => document.getElementById(id)?.closest(CARD).querySelector("button")?.textContent.includes("Retry"));
    const names = failed.map((id) => nameOf(document.getElementById(id)));
    if (isAwaited) announcer.textContent = names.length ? `No new reading: ${names.join(", ")}.` : "Refreshed.";
    isAwaited = false;
    finished.clear();
  }

  function awaitRefresh({ target }) {
    if (!target.closest?.('[class*="st-key-refresh-"], [data-testid="stSidebar"]')) return;
    isAwaited = true;
    announcer.textContent = ""; // the same words again are said again
  }

  function silenceIcons() {
    for (const icon of document.querySelectorAll('.stApp [role="img"]:not([aria-hidden])')) set(icon, "aria-hidden", "true");
  }

  function focusTheForm() {
    const input = document.querySelector(".st-key-sign-in input");
    if (input && input !== form && document.activeElement === document.body) input.focus();
    form = input;
  }

  function followTheFocus({ target }) {
    link = target.closest(".st-key-overview a");
    href = link?.getAttribute("href");
  }

  function forgetALinkThatWasLeft() {
    if (link?.isConnected && document.activeElement !== link) link = null;
  }

  // The page reuses the overview's elements in their order: the one with the focus can become another card's link.
  function keepTheLink() {
    if (!link || (link.isConnected && link.getAttribute("href") === href)) return;
    const links = [...document.querySelectorAll(".st-key-overview a")];
    const same = links.find((one) => one.getAttribute("href") === href);
    // A link that is gone leaves the focus to none, so that Enter leads to no other card and Tab goes on from there.
    if (same) same.focus({ preventScroll: true });
    else link.blur();
    link = same; // a window that is not in use is sent no event of the focus
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
      lostAt = isConnected ? null : heardAt;
      announcer.textContent = isConnected ? "" : `Connection lost ${ago(lostAt)}. The figures are as of then.`;
    }
    const page = document.documentElement;
    if (isConnected) delete page.dataset.lost;
    else page.dataset.lost = ago(lostAt);
    page.style.setProperty("--panel-lost", `"${page.dataset.lost ?? ""}"`);
  }

  function hear(changes) {
    const isRun = ({ attributeName, target }) =>
      attributeName === "data-test-script-state" && /^(running|notRunning)$/.test(target.dataset.testScriptState);
    if (changes.some(isRun)) heardAt = Date.now();
  }

  function look() {
    scheduled = false;
    if (!announcer.isConnected) document.body?.append(announcer);
    nameBarsAndButtons();
    announceRefreshed();
    silenceIcons();
    focusTheForm();
    markALostConnection();
  }

  announcer.id = "panel-announcer";
  set(announcer, "role", "status");
  setInterval(look, MINUTE / 2);
  document.addEventListener("click", awaitRefresh, true);
  document.addEventListener("focusin", followTheFocus);
  // The event comes before a link is taken away, so whether it was left is known only afterwards.
  document.addEventListener("focusout", () => queueMicrotask(forgetALinkThatWasLeft));
  new MutationObserver((changes) => {
    hear(changes);
    keepTheLink();
    if (!scheduled) scheduled = Boolean(requestAnimationFrame(look));
  }).observe(document.documentElement, {
    childList: true,
    characterData: true,
    subtree: true,
    attributeFilter: ["data-test-connection-state", "data-test-script-state", "aria-valuetext", "href"],
  });
}
