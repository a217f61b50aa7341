// Exchanges the one-time sign-in ticket for the session cookie, then loads the page anew with it.
// The cookie is HttpOnly, so whether the browser kept it is asked of the server.
export default function ({ data, setTriggerValue }) {
  const address = new URL("integrations/session", document.baseURI);

  async function exchange() {
    const posted = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ticket: data.ticket }),
    });
    if (posted.status === 503) return "unavailable";
    if (!posted.ok) return "expired";
    const kept = await fetch(address, { cache: "no-store" });
    if (kept.status === 503) return "unavailable";
    return kept.ok ? "kept" : "refused";
  }

  exchange()
    .catch(() => "expired")
    .then((outcome) => {
      if (outcome === "kept") window.location.reload();
      else setTriggerValue("outcome", outcome);
    });
}
