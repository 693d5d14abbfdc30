/**
 * The page that a browser shows at the end of a login. Fixed texts only: nothing of the request is ever in it, so there
 * is nothing to escape, and it has no script and no outside resource.
 */

/** How the visit of the browser ended, as far as the person is concerned. */
export type Outcome = "signed-in" | "denied" | "failed" | "expired" | "already-answered" | "not-this-login" | "not-here"

/** Whether it went well, badly, or neither. */
type Tone = "good" | "bad" | "neutral"

interface Words {
  readonly status: number
  readonly tone: Tone
  readonly title: string
  readonly happened: string
  readonly next: string
}

const words: { readonly [outcome in Outcome]: Words } = {
  "signed-in": {
    status: 200,
    tone: "good",
    title: "Signed in",
    happened: "The login worked and has been stored.",
    next: "You can close this tab and go back to your terminal.",
  },
  denied: {
    status: 200,
    tone: "bad",
    title: "Access was not granted",
    happened: "The answer was no, so nothing was stored.",
    next: "If you did not mean that, start a new login in your terminal.",
  },
  failed: {
    status: 200,
    tone: "bad",
    title: "Signing in did not work",
    happened: "The login could not be brought to its end, and no new one is stored.",
    next: "Your terminal says what went wrong and what to do.",
  },
  expired: {
    status: 200,
    tone: "bad",
    title: "Too late",
    happened: "The time for this login had run out, so nothing was stored.",
    next: "Start a new login in your terminal.",
  },
  "already-answered": {
    status: 200,
    tone: "neutral",
    title: "Already answered",
    happened: "This login has had its answer, and this visit has changed nothing.",
    next: "You can close this tab; your terminal says how the login ended.",
  },
  "not-this-login": {
    status: 400,
    tone: "neutral",
    title: "Not an answer to this login",
    happened: "What came here belongs to no login that is waiting, and nothing was changed.",
    next: "Go on at the provider’s page, or open the address in your terminal again.",
  },
  "not-here": {
    status: 404,
    tone: "neutral",
    title: "Nothing here",
    happened: "This address only takes the answer to a login.",
    next: "You can close this tab.",
  },
}

/** Drawn, not written: a font may lack the signs. */
const strokes: { readonly [tone in Tone]: string } = {
  good: "M7 12.5l3.4 3.4L17 9",
  bad: "M8.5 8.5l7 7m0-7l-7 7",
  neutral: "M12 11v5.5M12 7.3v.01",
}

/** What the tab shows. It is in the page itself, so that no browser asks for it. */
const iconColours: { readonly [tone in Tone]: string } = { good: "%2315803d", bad: "%23b42318", neutral: "%23556070" }

const icon = (tone: Tone) =>
  `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%23fff' stroke-width='2.4' stroke-linecap='round' stroke-linejoin='round'%3E%3Ccircle cx='12' cy='12' r='12' fill='${iconColours[tone]}' stroke='none'/%3E%3Cpath d='${strokes[tone]}'/%3E%3C/svg%3E`

// Everything is measured in the size of the text, which grows with the screen and with what the person has set.
const style = `:root{color-scheme:light dark;--page:#f3f4f6;--card:#fff;--edge:#e1e4e9;--title:#14181f;--text:#48515f;--good:#12692f;--good-tint:#e3f4e8;--bad:#a3211a;--bad-tint:#fce9e7;--neutral:#4a5464;--neutral-tint:#e9ecf1}
@media (prefers-color-scheme:dark){:root{--page:#111318;--card:#1b1f27;--edge:#2c323d;--title:#f1f3f6;--text:#b4bcc9;--good:#7ddc9a;--good-tint:#173424;--bad:#ff9d92;--bad-tint:#41201d;--neutral:#b9c2d0;--neutral-tint:#2a303b}}
*{box-sizing:border-box;margin:0}
html{font-size:clamp(100%,70% + .55vmin + .25vw,300%);-webkit-text-size-adjust:100%}
body{display:flex;min-height:100vh;min-height:100svh;padding:min(1.25rem,4vw);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;background:var(--page);color:var(--text)}
main{width:100%;max-width:28rem;margin:auto;padding:min(2.5rem,8vw) min(2rem,6vw) min(1.5rem,6vw);border:.0625rem solid var(--edge);border-radius:1rem;text-align:center;overflow-wrap:break-word;background:var(--card);box-shadow:0 .0625rem .125rem rgb(0 0 0/.05),0 .75rem 2.5rem rgb(0 0 0/.07)}
svg{display:block;width:3.5rem;height:3.5rem;margin:0 auto 1.25rem;border:.0625rem solid transparent;border-radius:50%;fill:none;stroke:currentColor;stroke-width:1.75;stroke-linecap:round;stroke-linejoin:round}
.good{color:var(--good);background:var(--good-tint)}
.bad{color:var(--bad);background:var(--bad-tint)}
.neutral{color:var(--neutral);background:var(--neutral-tint)}
h1{margin-bottom:.75rem;font-size:1.5rem;font-weight:650;line-height:1.25;letter-spacing:-.01em;color:var(--title)}
h1,p,footer{text-wrap:balance}
.next{margin-top:.5rem;color:var(--title)}
footer{margin-top:2rem;padding-top:1rem;border-top:.0625rem solid var(--edge);font-size:.8125rem}
@media (forced-colors:active){svg[class]{color:CanvasText;background:Canvas;border-color:CanvasText}}`

/** The status and the page for an outcome. */
export const render = (outcome: Outcome): { readonly status: number; readonly html: string } => {
  const { happened, next, status, title, tone } = words[outcome]
  return {
    status,
    html: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${title} · tokenkeep</title><link rel="icon" href="${icon(tone)}"><style>${style}</style></head>
<body><main><svg class="${tone}" viewBox="0 0 24 24" aria-hidden="true"><path d="${strokes[tone]}"/></svg>
<h1>${title}</h1><p>${happened}</p><p class="next">${next}</p>
<footer>This page comes from tokenkeep on this computer.</footer></main></body></html>
`,
  }
}

/** Nothing is loaded, run, framed, sent on or kept; of styles only the page's own counts, by its SHA-256. */
export const headers: { readonly [name: string]: string } = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    "default-src 'none'; style-src 'sha256-Nm9cns4UMsd39aFJj7byZf68ypzEVrFa3naDOBN04z0='; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  connection: "close",
}
