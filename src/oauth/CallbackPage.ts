/**
 * The page that a browser shows at the end of a login. Fixed texts only: nothing of the request is ever in it, so there
 * is nothing to escape, and it has no script and no outside resource.
 */

/** How the visit of the browser ended, as far as the person is concerned. */
export type Outcome = "signed-in" | "denied" | "failed" | "expired" | "already-answered" | "not-this-login" | "not-here"

const texts: { readonly [outcome in Outcome]: readonly [status: number, mark: string, title: string, text: string] } = {
  "signed-in": [200, "✓", "Signed in", "You may close this tab and go back to your terminal."],
  denied: [200, "✕", "Access was not granted", "Nothing was stored. You may close this tab."],
  failed: [200, "✕", "Signing in did not work", "Nothing was lost. Your terminal says what happened."],
  expired: [200, "✕", "Too late", "This login has expired, and nothing was stored. Begin a new one in your terminal."],
  "already-answered": [200, "✓", "Already answered", "This login has had its answer. You may close this tab."],
  "not-this-login": [
    400,
    "?",
    "Not an answer to this login",
    "The login is still waiting; go back to the provider’s page.",
  ],
  "not-here": [404, "?", "Nothing here", "This address only takes the answer to a login."],
}

const style = `:root{color-scheme:light dark}
*{box-sizing:border-box;margin:0}
body{min-height:100vh;display:grid;place-items:center;padding:1.5rem;font:clamp(1rem,.9rem + .4vw,1.4rem)/1.5 system-ui,sans-serif;background:light-dark(#f4f5f7,#15171c);color:light-dark(#1c2026,#e8eaee)}
main{width:min(28em,100%);padding:2.5em 2em;border-radius:1em;text-align:center;background:light-dark(#fff,#1f232b);box-shadow:0 .5em 2em rgb(0 0 0/.12)}
.mark{display:grid;place-items:center;width:2.4em;height:2.4em;margin:0 auto 1em;border-radius:50%;font-size:1.4em;font-weight:700;color:#fff;background:#6b7280}
.good{background:#15803d}.bad{background:#b91c1c}
h1{font-size:1.35em;line-height:1.25;margin-bottom:.4em}
p{color:light-dark(#4b5563,#b3bac6)}`

const tone = (mark: string) => ({ "✓": "mark good", "✕": "mark bad" })[mark] ?? "mark"

/** The status and the page for an outcome. */
export const render = (outcome: Outcome): { readonly status: number; readonly html: string } => {
  const [status, mark, title, text] = texts[outcome]
  return {
    status,
    html: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${title}</title><style>${style}</style></head>
<body><main><div class="${tone(mark)}" aria-hidden="true">${mark}</div><h1>${title}</h1><p>${text}</p></main></body></html>
`,
  }
}

/** Nothing is loaded, framed, sent on or kept. */
export const headers: { readonly [name: string]: string } = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  connection: "close",
}
