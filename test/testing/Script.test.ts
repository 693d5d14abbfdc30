import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { forms, Script, textOf } from "../../src/testing/Script.ts"

const decode = Schema.decodeUnknownEffect(Script)

describe("a script", () => {
  const table: ReadonlyArray<readonly [string, Behaviour.Step]> = [
    ["ok", Behaviour.ok],
    ["drop", Behaviour.drop],
    ["drop-before", Behaviour.dropBefore],
    ["slow:1.5", Behaviour.slow("1500 millis")],
    ["hang", Behaviour.hang],
    ["429:120", Behaviour.tooManyRequests("2 minutes")],
    ["429-date:0", Behaviour.tooManyRequests("0 seconds", "date")],
    ["status:503", Behaviour.status(503)],
    ["status:400:invalid_grant", Behaviour.status(400, "invalid_grant")],
    ["invalid-json", Behaviour.invalidJson],
    ["oversized", Behaviour.oversized],
    ["truncated", Behaviour.truncated],
    ["redirect", Behaviour.redirect],
    ["omit-refresh-token", Behaviour.omitRefreshToken],
    ['expires-in:"3600"', Behaviour.expiresIn("3600")],
    ["expires-in:-1", Behaviour.expiresIn(-1)],
    ["expires-in:null", Behaviour.expiresIn(null)],
    ["expires-in:none", Behaviour.expiresIn()],
    ["any:drop", Behaviour.onAnyCall(Behaviour.drop)],
    ["any:429:7", Behaviour.onAnyCall(Behaviour.tooManyRequests("7 seconds"))],
  ]

  it.effect("is written as it is read", () =>
    Effect.gen(function* () {
      for (const [text, step] of table) {
        assert.deepStrictEqual(yield* decode(text), [step], text)
        assert.strictEqual(textOf(step), text)
      }
      const all = table.map(([text]) => text).join(",")
      const steps = yield* decode(all.replaceAll(",", " , "))
      assert.strictEqual(yield* Schema.encodeEffect(Script)(steps), all)
      assert.deepStrictEqual(yield* decode(""), [])
    }),
  )

  it("has a form for every behaviour but the literal answer", () => {
    const names = new Set(table.map(([text]) => text.replace(/^any:/, "").replace(/:.*/, "")))
    assert.sameMembers(
      [...names],
      forms.map((form) => form.replace(/:.*/, "")),
    )
    const tags = new Set(table.flatMap(([, step]) => (step._tag === "AnyCall" ? [] : [step._tag])))
    assert.sameMembers([...tags, "Literal"], Object.keys(Behaviour.Behaviour.cases))
  })

  it.effect("names the word that is wrong, and those that are right", () =>
    Effect.gen(function* () {
      for (const word of ["frobnicate", "", "Drop", "constructor", "any:frobnicate", "any:any:ok", "literal:200"]) {
        const { message } = yield* Effect.flip(decode(`ok,${word},drop`))
        assert.include(message, `there is no behaviour ${JSON.stringify(word.replace("any:", ""))}`)
        for (const form of forms) assert.include(message, form)
      }
      for (const [word, form] of [
        ["slow", "slow:SECONDS"],
        ["slow:-1", "slow:SECONDS"],
        ["slow:1e3", "slow:SECONDS"],
        ["429:soon", "429:SECONDS"],
        ["429-date:", "429-date:SECONDS"],
        ["status:99", "status:CODE[:ERROR]"],
        ["status:400:", "status:CODE[:ERROR]"],
        ["drop:1", "drop"],
        ["ok:", "ok"],
        ["expires-in", "expires-in:JSON|none"],
        ["expires-in:soon", "expires-in:JSON|none"],
      ]) {
        const { message } = yield* Effect.flip(decode(word))
        assert.include(message, `${JSON.stringify(word)} is to be written as ${form}`)
      }
    }),
  )
})
