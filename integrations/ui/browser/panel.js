// What only the browser can do: name bars and buttons, silence icons, keep the focus, announce what a click brought, tell
// since when the connection is lost, and have providers called if the tab comes to the front. Part of index.html, see
// web/assets.py.

// Streamlit's own dialog about a lost server would cover the page, and ours says more.
window.__streamlit = { HOST_CONFIG: { blockErrorDialogs: true } };

{
  const CARD = '[data-testid="stVerticalBlock"]';
  const MINUTE = 60_000;
  const RETRY_MS = 15_000; // after a failure the panel calls nobody sooner
  const PATIENCE_MS = 10_000; // for the first connection
  const CLICK_MS = 1_500; // after which a click that called somebody shows it
  const words = new Intl.RelativeTimeFormat("en");
  const announcer = document.createElement("p");
  let scheduled = false;
  let form = null;
  let link = null; // the overview's that has the focus, and where it led when it got it
  let href = null;
  let heardAt = Date.now(); // the last sign of the server; a computer that slept notices a loss long after it
  let wasConnected = false;
  let lostAt = null;
  let refreshing = new Map(); // by card
  let click = null; // a person's on Refresh: when, and on which card; null for Refresh all
  const finished = new Set();

  function set(element, name, value) {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  }

  function nameIn(card) {
    const words = [...(card.querySelector("h2 [data-heading-text]")?.childNodes ?? [])];
    return words.filter((node) => !node.classList?.contains("stMarkdownBadge")).map((node) => node.textContent).join("").trim();
  }

  function nameBarsAndButtons() {
    for (const heading of document.querySelectorAll(".st-key-cards h2")) {
      const card = heading.closest(CARD);
      const name = nameIn(card);
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
      now.set(heading.closest(CARD), heading.querySelector(".stMarkdownBadge")?.textContent.includes("Refreshing"));
    }
    for (const [card, isRefreshing] of refreshing) if (isRefreshing && now.get(card) === false) finished.add(card);
    refreshing = now;
    if ([...now.values()].includes(true)) return;
    if (click && finished.size) announcer.textContent = outcomeOf(click.card ? [...finished] : [...now.keys()], "Refreshed.");
    else if (click && Date.now() - click.at >= CLICK_MS && isIdle()) announcer.textContent = whyNothing(click.card);
    else if (click) return;
    click = null;
    finished.clear();
  }

  function outcomeOf(cards, good) {
    const failed = cards.filter((card) => card.querySelector("button")?.textContent.includes("Retry"));
    return failed.length ? `No new reading: ${failed.map(nameIn).join(", ")}.` : good;
  }

  // A click calls nobody if the last call was just now, or if the provider may be called only so often.
  function whyNothing(card) {
    if (!card?.isConnected) return outcomeOf([...refreshing.keys()], "Up to date.");
    const parts = [...card.querySelectorAll('[data-testid="stCaptionContainer"] p > span')];
    const told = parts.map((part) => part.textContent).filter((text) => /^(Refresh|Retry|Updated|Last)/.test(text));
    return `${nameIn(card)}: ${told.join(", ")}.`;
  }

  function awaitRefresh({ target }) {
    const button = target.closest?.('[class*="st-key-refresh-"], .st-key-sidebar-refresh');
    if (!button) return;
    click = { at: Date.now(), card: button.closest(".st-key-cards") && button.closest(CARD) };
    announcer.textContent = ""; // the same words again are said again
    setTimeout(look, CLICK_MS);
  }

  function isIdle() {
    return document.querySelector(".stApp")?.dataset.testScriptState === "notRunning";
  }

  // Hidden buttons: the server decides who is called.
  function press(name) {
    const isInFront = document.visibilityState === "visible";
    if (isInFront && lostAt === null) document.querySelector(`.st-key-${name} button`)?.click();
  }

  // Back from a card leads to its link in the overview.
  function comeBack({ oldURL, newURL }) {
    const from = new URL(oldURL).hash;
    if (!from || new URL(newURL).hash) return;
    [...document.querySelectorAll(".st-key-overview a")].find((one) => one.hash === from)?.focus();
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

  function lossIn(app) {
    return app?.querySelector(".st-key-cards")
      ? `Connection lost ${ago(lostAt)}. The figures are as of then.`
      : "This page cannot reach the panel and keeps trying. If that does not end, a proxy may be blocking websockets.";
  }

  function markALostConnection() {
    const app = document.querySelector(".stApp");
    const isConnected = app?.dataset.testConnectionState === "CONNECTED";
    wasConnected ||= isConnected;
    if (!isConnected && !wasConnected && Date.now() - heardAt < PATIENCE_MS) return;
    const isNews = isConnected !== (lostAt === null);
    if (isNews) lostAt = isConnected ? null : heardAt;
    const told = isConnected ? "" : lossIn(app);
    if (isNews) announcer.textContent = told;
    const page = document.documentElement;
    if (isConnected) delete page.dataset.lost;
    else page.dataset.lost = ago(lostAt);
    page.style.setProperty("--panel-lost", `"${page.dataset.lost ?? ""}"`);
    page.style.setProperty("--panel-loss", `"${told}"`);
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
  setTimeout(look, PATIENCE_MS);
  setInterval(() => press("retry-failed"), RETRY_MS);
  document.addEventListener("visibilitychange", () => press("look"));
  addEventListener("hashchange", comeBack);
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
