import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as CallbackPage from "../../src/oauth/CallbackPage.ts"

const pages: ReadonlyArray<readonly [CallbackPage.Outcome, status: number, title: string]> = [
  ["signed-in", 200, "Signed in"],
  ["denied", 200, "Access was not granted"],
  ["failed", 200, "Signing in did not work"],
  ["expired", 200, "Too late"],
  ["already-answered", 200, "Already answered"],
  ["not-this-login", 400, "Not an answer to this login"],
  ["not-here", 404, "Nothing here"],
]

describe("the page at the end of a login", () => {
  for (const [outcome, status, title] of pages) {
    it(`says "${title}" with status ${status} when the visit was ${outcome}`, () => {
      const page = CallbackPage.render(outcome)
      assert.strictEqual(page.status, status)
      assert.include(page.html, `<title>${title} · tokenkeep</title>`)
      assert.include(page.html, `<h1>${title}</h1>`)
      assert.match(page.html, /<p>[A-Z][^<]{20,}\.<\/p><p class="next">[A-Z][^<]{20,}\.<\/p>/)
    })

    it(`runs nothing and loads nothing when the visit was ${outcome}`, () => {
      const { html } = CallbackPage.render(outcome)
      assert.match(html, /^<!doctype html>\n<html lang="en">/)
      const [, icon = ""] = /<link rel="icon" href="(data:image\/svg\+xml,[^"]*)">/.exec(html) ?? []
      // An SVG says which language it is in by something that looks like an address.
      assert.notMatch(icon.replace("http://www.w3.org/2000/svg", ""), /https?:|\/\/|script|href|url\(/i)
      const rest = html.replace(icon, "")
      assert.notMatch(rest, /<script|<iframe|<form|<img|\son\w+=|\sstyle=|javascript:/i)
      assert.notMatch(rest.replace('<link rel="icon" href="">', ""), /https?:|\/\/|<link|src=|href=|url\(|@import/i)
    })
  }

  it("moves nothing, so nobody has to ask it to keep still", () => {
    assert.notMatch(CallbackPage.render("signed-in").html, /animation|transition|@keyframes/)
  })

  it("marks a good end and a bad one differently, and the rest as neither", () => {
    const marks = pages.map(([outcome]) => /<svg class="([^"]*)"/.exec(CallbackPage.render(outcome).html)?.[1])
    assert.deepStrictEqual(marks, ["good", "bad", "bad", "bad", "neutral", "neutral", "neutral"])
  })

  it("allows its own styles and no others", () => {
    const [, style = ""] = /<style>([^]*)<\/style>/.exec(CallbackPage.render("denied").html) ?? []
    const hash = createHash("sha256").update(style).digest("base64")
    assert.include(CallbackPage.headers["content-security-policy"], `; style-src 'sha256-${hash}'; `)
  })

  it("is sent with headers that forbid loading, framing, sniffing, keeping and passing on", () => {
    const policy = CallbackPage.headers["content-security-policy"]?.split("; ")
    assert.includeMembers(policy ?? [], [
      "default-src 'none'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ])
    assert.notInclude(policy?.join(" "), "script-src")
    assert.strictEqual(CallbackPage.headers["referrer-policy"], "no-referrer")
    assert.strictEqual(CallbackPage.headers["cache-control"], "no-store")
    assert.strictEqual(CallbackPage.headers["x-content-type-options"], "nosniff")
    assert.strictEqual(CallbackPage.headers["content-type"], "text/html; charset=utf-8")
  })
})
