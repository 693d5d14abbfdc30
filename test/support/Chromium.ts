/**
 * A real browser, where there is one: Chromium without a window, that can reach this machine only.
 */
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { Context, Effect, Layer, type Scope } from "effect"
import { type Browser, chromium, type Page } from "playwright-core"

const isProgram = (path: string) => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]

/** Where it is, or undefined. */
export const path = (process.env["PATH"] ?? "")
  .split(delimiter)
  .flatMap((folder) => names.map((name) => join(folder, name)))
  .find(isProgram)

/** A folder for pictures, for whoever wants to look at them: they take longer than everything else. */
export const pictures = process.env["TOKENKEEP_TEST_PICTURES"]

/** What a page did besides showing itself. */
export interface Seen {
  readonly page: Page
  /** What it complained about: errors, warnings, what a policy forbade. */
  readonly complaints: ReadonlyArray<string>
  /** Every address that was asked for. */
  readonly requests: ReadonlyArray<string>
  /** From here on only what is new counts. */
  readonly forget: () => void
}

export class Chromium extends Context.Service<
  Chromium,
  {
    /** A page with cookies of its own, closed with the scope. */
    readonly page: Effect.Effect<Seen, never, Scope.Scope>
  }
>()("tokenkeep/test/support/Chromium") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const browser = yield* Effect.acquireRelease(
        Effect.promise((): Promise<Browser> =>
          chromium.launch({
            ...(path !== undefined && { executablePath: path }),
            chromiumSandbox: process.getuid?.() !== 0,
            args: ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
          }),
        ),
        (launched) => Effect.promise(() => launched.close()),
      )
      return Chromium.of({
        page: Effect.gen(function* () {
          const context = yield* Effect.acquireRelease(
            Effect.promise(() => browser.newContext({ viewport: { width: 1280, height: 800 } })),
            (opened) => Effect.promise(() => opened.close()),
          )
          const page = yield* Effect.promise(() => context.newPage())
          page.setDefaultTimeout(10_000)
          const complaints: Array<string> = []
          const requests: Array<string> = []
          page.on("console", (message) => complaints.push(message.text()))
          page.on("pageerror", (error) => complaints.push(error.message))
          page.on("request", (request) => requests.push(request.url()))
          const forget = () => {
            complaints.length = 0
            requests.length = 0
          }
          return { page, complaints, requests, forget }
        }),
      })
    }),
  )
}
