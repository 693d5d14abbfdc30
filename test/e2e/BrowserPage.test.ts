/**
 * Logins in a real browser: from the address that the program prints, over the provider's pages, to our own.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Outcome } from "../../src/oauth/CallbackPage.ts"
import { listen } from "../../src/oauth/LoopbackListenerNode.ts"
import * as AuthorizationServer from "../support/AuthorizationServer.ts"
import { Chromium, path, pictures, type Seen } from "../support/Chromium.ts"
import * as HostileIssuer from "../support/HostileIssuer.ts"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

/** A home with a provider called `demo` in it. */
const homeWith = (issuer: string) =>
  Effect.gen(function* () {
    const home = yield* TemporaryHome.make
    const demo = {
      issuer,
      clientId: "tokenkeep-test",
      scopes: ["openid", "offline_access"],
      flows: ["browser_redirect"],
      redirectUris: [AuthorizationServer.loopbackRedirectUri],
    }
    mkdirSync(`${home}/keep`, { mode: 0o700 })
    writeFileSync(`${home}/keep/config.json`, JSON.stringify({ providers: { demo } }), { mode: 0o600 })
    return { TOKENKEEP_HOME: `${home}/keep`, HOME: home }
  })

/** A login that has begun: its process, the address it prints, and where it awaits the answer. */
const begun = Effect.fnUntraced(function* (environment: Program.Environment) {
  const login = yield* Program.start(["login", "demo", "--flow", "browser", "--no-browser"], environment)
  const [, url = ""] = yield* Effect.promise(() => login.said("stderr", /(http:\S+\/auth\?\S+)/))
  const callback = new URL(new URL(url).searchParams.get("redirect_uri") ?? "")
  return { login, url, callback }
})

const act = <A>(work: () => Promise<A>) => Effect.promise(work)

/** The page is ours, it says what it must, it complained of nothing, and it asked for nothing but itself. */
const saysOnly = Effect.fnUntraced(function* ({ complaints, page, requests }: Seen, title: string, text: string) {
  yield* act(() => page.getByRole("heading", { level: 1, name: title, exact: true }).waitFor())
  assert.strictEqual(yield* act(() => page.title()), `${title} · tokenkeep`)
  assert.include(yield* act(() => page.getByRole("main").innerText()), text)
  const landing = requests.indexOf(page.url())
  assert.deepStrictEqual(landing < 0 ? [] : requests.slice(landing + 1), [])
  // The browser notes the status of a page that it was denied.
  const refusals = complaints.filter((complaint) => !complaint.startsWith("Failed to load resource"))
  assert.deepStrictEqual(refusals, [])
})

const lookOf = ({ page }: Seen) => act(() => page.evaluate<Look>(look))

const signIn = ({ page }: Seen) =>
  act(async () => {
    await page.getByPlaceholder("Enter any login").fill("alice")
    await page.getByPlaceholder("and password").fill("wonderland")
    await page.getByRole("button", { name: "Sign-in" }).click()
    await page.getByRole("button", { name: "Continue" }).waitFor()
  })

/** What moves the cursor, colours, or turns the direction of text. */
const isControl = (sign: string) => /[\p{Cc}\p{Cf}]/u.test(sign) && sign !== "\n"

const outcomes: ReadonlyArray<Outcome> = [
  "signed-in",
  "denied",
  "failed",
  "expired",
  "already-answered",
  "not-this-login",
  "not-here",
]

const name =
  path === undefined ? "a login in a browser (skipped: there is no chromium on the PATH)" : "a login in a browser"

describe.skipIf(path === undefined)(name, () => {
  layer(Chromium.layer, { excludeTestServices: true })((it) => {
    it.effect(
      "goes from the printed address over the provider's pages to a stored token, whatever knocks meanwhile",
      () =>
        Effect.gen(function* () {
          const server = yield* AuthorizationServer.start()
          const environment = yield* homeWith(server.issuer)
          const { callback, login, url } = yield* begun(environment)
          const chromium = yield* Chromium

          const stranger = yield* chromium.page
          for (const [knock, title, text] of [
            ["", "Not an answer to this login", "belongs to no login that is waiting"],
            ["?code=stolen&state=guessed", "Not an answer to this login", "nothing was changed"],
            [`?code=${"x".repeat(100_000)}`, "Not an answer to this login", "Go on at the provider’s page"],
            ["/../elsewhere?%3Cscript%3Ealert(1)%3C/script%3E", "Nothing here", "only takes the answer to a login"],
            ["/../favicon.ico", "Nothing here", "close this tab"],
          ] as const) {
            yield* act(() => stranger.page.goto(callback.href + knock))
            yield* saysOnly(stranger, title, text)
            assert.notMatch(yield* act(() => stranger.page.content()), /stolen|guessed|alert|xxx/)
          }

          const person = yield* chromium.page
          yield* act(() => person.page.goto(url))
          yield* signIn(person)
          person.forget()
          yield* act(() => person.page.getByRole("button", { name: "Continue" }).click())
          yield* saysOnly(person, "Signed in", "The login worked and has been stored.")
          const shown = performance.now()
          const done = yield* act(() => login.ended)
          assert.strictEqual(done.code, 0, done.stderr)
          assert.isBelow(
            performance.now() - shown,
            1000,
            "connections that the browser has opened in advance hold nothing up",
          )
          assert.include(done.stderr, "Logged in as demo.")
          const status = yield* Program.run(["status", "--json"], environment)
          assert.containSubset(JSON.parse(status.stdout), { accounts: [{ provider: "demo", state: "ok" }] })
          assert.strictEqual(server.refreshTokens.size, 1)
          // Nobody listens any more, and what is shown stays.
          yield* saysOnly(person, "Signed in", "go back to your terminal")
        }),
    )

    it.effect("that the person cancels at the provider ends in a page that says so, and stores nothing", () =>
      Effect.gen(function* () {
        const server = yield* AuthorizationServer.start()
        const environment = yield* homeWith(server.issuer)
        const { login, url } = yield* begun(environment)
        const person = yield* (yield* Chromium).page
        yield* act(() => person.page.goto(url))
        person.forget()
        yield* act(() => person.page.getByRole("link", { name: "Cancel" }).click())
        yield* saysOnly(person, "Access was not granted", "nothing was stored")
        const done = yield* act(() => login.ended)
        assert.strictEqual(done.code, 1)
        assert.include(done.stderr, "Access was denied")
        assert.strictEqual(server.calls["authorization_code"], undefined)
      }),
    )

    it.effect("shows and prints nothing of what a hostile provider sends the browser back with", () =>
      Effect.gen(function* () {
        const hostile =
          "\u001b]8;;https://evil.example\u0007click\u001b]8;;\u0007\u202eevil\u2066<script>alert(1)</script>javascript:alert(2)"
        const answers = [
          // Too long to be read at all: the login waits on.
          { error: "server_error", error_description: hostile.repeat(300) },
          {
            error: "<script>alert(3)</script>",
            error_description: hostile + "evil".repeat(2500),
            error_uri: "javascript:alert(4)//evil",
          },
        ]
        const { issuer } = yield* HostileIssuer.start(answers.map((answer) => Promise.resolve(answer)).values())
        const { login, url } = yield* begun(yield* homeWith(issuer))
        const person = yield* (yield* Chromium).page
        const dialogs: Array<string> = []
        person.page.on("dialog", (dialog) => {
          dialogs.push(dialog.message())
          void dialog.dismiss()
        })
        yield* act(() => person.page.goto(url))
        yield* saysOnly(person, "Not an answer to this login", "nothing was changed")
        yield* act(() => person.page.goto(url))
        yield* saysOnly(person, "Signing in did not work", "Your terminal says what went wrong")
        const html = yield* act(() => person.page.content())
        const done = yield* act(() => login.ended)
        assert.strictEqual(done.code, 1)
        for (const text of [html, done.stderr]) {
          assert.notMatch(text, /evil|script|alert|click/)
          assert.deepStrictEqual([...text].filter(isControl), [])
        }
        assert.strictEqual(done.stdout, "")
        assert.deepStrictEqual(dialogs, [])
      }),
    )

    it.effect("that comes too late is told so, as often as the page is loaded", () =>
      Effect.gen(function* () {
        const late = Promise.withResolvers<HostileIssuer.Answer>()
        const { issuer } = yield* HostileIssuer.start([late.promise].values())
        const environment = { ...(yield* homeWith(issuer)), TOKENKEEP_SESSION_TIMEOUT_SECONDS: "1" }
        const host = yield* Program.start(["serve", "--json"], environment)
        const [, socket = ""] = yield* act(() => host.said("stdout", /"socket":"([^"]+)"/))
        const { login, url } = yield* begun({ TOKENKEEP_SOCKET: socket, HOME: environment.HOME })
        const person = yield* (yield* Chromium).page
        const arrival = person.page.goto(url)
        const done = yield* act(() => login.ended)
        assert.strictEqual(done.code, 1)
        assert.include(done.stderr, "expired")
        late.resolve({ code: "in-vain" })
        yield* act(() => arrival)
        yield* saysOnly(person, "Too late", "nothing was stored")
        person.forget()
        yield* act(() => person.page.reload())
        yield* saysOnly(person, "Too late", "Start a new login in your terminal.")
      }),
    )

    it.effect("ends in a page that can be read on every screen, light and dark", () =>
      Effect.gen(function* () {
        const port = yield* listen([], ({ target }) =>
          Effect.succeed(outcomes.find((outcome) => target === `/${outcome}`) ?? "not-here"),
        )
        const seen = yield* (yield* Chromium).page
        const { page } = seen
        const devtools = yield* act(() => page.context().newCDPSession(page))
        yield* act(() => devtools.send("Page.enable"))
        if (pictures !== undefined) mkdirSync(pictures, { recursive: true })

        for (const [width, height, least] of screens) {
          yield* act(() => page.setViewportSize({ width, height }))
          for (const outcome of outcomes) {
            yield* act(() => page.goto(`http://127.0.0.1:${port}/${outcome}`))
            assert.isAbove(yield* act(() => page.evaluate<number>(iconWidth)), 0, "the icon can be shown")
            for (const colorScheme of ["light", "dark"] as const) {
              yield* act(() => page.emulateMedia({ colorScheme, forcedColors: "none" }))
              const fit = yield* lookOf(seen)
              assert.isAtMost(fit.width, width, `${outcome} is wider than ${width}`)
              assert.isAtMost(fit.height, height, `${outcome} is higher than ${height}`)
              assert.isAtLeast(fit.letters, least, `${outcome} has small letters at ${width}`)
              for (const { contrast, what } of fit.contrasts) {
                assert.isAtLeast(contrast, 4.5, `${what} of ${outcome} in ${colorScheme}`)
              }
              if (pictures === undefined) continue
              const path = `${pictures}/${outcome}-${width}-${colorScheme}.png`
              yield* act(() => page.screenshot({ path }))
            }
          }
        }
        // The person's own settings: letters of twice the size, and no colours but theirs.
        yield* act(() => page.setViewportSize({ width: 360, height: 740 }))
        yield* act(() => devtools.send("Page.setFontSizes", { fontSizes: { standard: 32 } }))
        for (const outcome of outcomes) {
          yield* act(() => page.goto(`http://127.0.0.1:${port}/${outcome}`))
          const fit = yield* lookOf(seen)
          assert.strictEqual(fit.letters, 26, "the smallest letters")
          assert.isAtMost(fit.width, 360, outcome)
        }
        yield* act(() => page.emulateMedia({ colorScheme: "light", forcedColors: "active" }))
        const plain = yield* lookOf(seen)
        for (const { contrast, what } of plain.contrasts)
          assert.isAtLeast(contrast, 7, `${what} in the person's colours`)
        assert.isAbove(plain.border, 0)
        assert.deepStrictEqual(
          seen.complaints.filter((complaint) => !complaint.startsWith("Failed to load")),
          [],
        )
      }),
    )
  })
})

/** Width, height, and the least size that letters have. */
const screens = [
  [360, 740, 13],
  [1280, 800, 15],
  [3840, 2160, 26],
] as const

interface Look {
  readonly width: number
  readonly height: number
  /** The least size of letters, in pixels. */
  readonly letters: number
  readonly border: number
  /** As WCAG 2 reckons it, of every element with a foreground. */
  readonly contrasts: ReadonlyArray<{ readonly what: string; readonly contrast: number }>
}

/** Runs in the browser, which this program has no types of. */
const look = `(() => {
  const luminance = (colour) => {
    const [red, green, blue] = colour.match(/[\\d.]+/g).map((part) => {
      const share = Number(part) / 255
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const styleOf = (element) => getComputedStyle(element)
  const backgroundOf = (element) => {
    const { backgroundColor } = styleOf(element)
    return backgroundColor === "rgba(0, 0, 0, 0)" ? backgroundOf(element.parentElement) : backgroundColor
  }
  const elements = [...document.querySelectorAll("h1,p,footer,svg")]
  return {
    width: document.documentElement.scrollWidth,
    height: document.documentElement.scrollHeight,
    letters: Math.min(...elements.map((element) => Number.parseFloat(styleOf(element).fontSize))),
    border: Number.parseFloat(styleOf(document.querySelector("main")).borderTopWidth),
    contrasts: elements.map((element) => {
      const [dark, light] = [styleOf(element).color, backgroundOf(element)].map(luminance).sort((a, b) => a - b)
      return { what: element.tagName, contrast: (light + 0.05) / (dark + 0.05) }
    }),
  }
})()`

/** A browser without a window shows no icon: this loads it as one would, under the policy of the page. */
const iconWidth = `(async () => {
  const image = new Image()
  image.src = document.querySelector("link[rel=icon]").href
  await image.decode()
  return image.width
})()`
