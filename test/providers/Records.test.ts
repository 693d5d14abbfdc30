/**
 * What holds for each provider that is built in, whichever it is.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { reservedFields } from "../../src/domain/Token.ts"
import type { VendorRequest } from "../../src/oauth/Dialect.ts"
import { Call, ProviderRecord } from "../../src/oauth/ProviderRecord.ts"
import { resolve } from "../../src/oauth/ProviderResolution.ts"
import { builtIn } from "../../src/providers/BuiltIn.ts"

/** What a person has to say of a provider who is not known to all. */
const own = { clientId: "a-client", issuer: "https://id.example", scopes: ["read"] }

const decode = Schema.decodeUnknownOption(ProviderRecord)

describe("a built-in provider", () => {
  it("has a name of its own", () => {
    const names = builtIn.map(({ name }) => name)
    assert.deepStrictEqual(names, [...new Set(names)])
  })

  for (const { dialect, name, record } of builtIn) {
    const whole = { ...own, ...record }

    it(`${name}: is understood, but for what only its user can say`, () => {
      const resolution = resolve(name, undefined, builtIn)
      if (resolution._tag === "Incomplete") {
        for (const field of resolution.missing) assert.include(Object.keys(own), field)
      } else assert.strictEqual(resolution._tag, "Resolved")
      const decoded = Option.getOrThrow(decode(whole))
      assert.deepInclude(decoded, JSON.parse(JSON.stringify(record)), "nothing of it is dropped")
    })

    it(`${name}: holds no secret, and makes none public`, () => {
      for (const place of Object.keys(record.clientSecret ?? {})) assert.include(["env", "file"], place)
      assert.notMatch(JSON.stringify(record), /GOCSPX-|sk-|gh[opurs]_|ey[A-Z]/)
      for (const field of record.publicFields ?? []) assert.notInclude(reservedFields, field)
    })

    it(`${name}: sends tokens over https only, and to its own API`, () => {
      for (const address of JSON.stringify(record).match(/http:[^"]*/g) ?? []) {
        assert.match(address, /^http:\/\/(localhost|127\.0\.0\.1)[:/]/)
      }
      if (record.api?.baseUrlField !== undefined) {
        assert.isNotEmpty(record.api.hosts)
        assert.include(record.publicFields ?? [], record.api.baseUrlField)
      }
      for (const field of Object.values(record.api?.headersFromFields ?? {})) {
        assert.include(record.publicFields ?? ["account_id", "resource_url"], field)
      }
      assert.notProperty(record.headers ?? {}, "user-agent", "who asks is said by us")
    })

    if (dialect !== undefined) {
      const decoded = Option.getOrThrow(decode(whole))
      const body = Schema.Record(
        Schema.Union([
          Schema.String,
          Schema.Literals(["access_token", "id_token", "token", "error", "error_details", "endpoints", "user_code"]),
          Schema.Literals(["device_auth_id", "device_code", "refresh_token", "message", "resource_url", "refresh_in"]),
        ]),
        Schema.Json,
      )
      const headers = Schema.Record(
        Schema.Union([Schema.String, Schema.Literals(["x-ratelimit-reset", "retry-after", "authorization"])]),
        Schema.String,
      )
      const status = Schema.Literals([200, 400, 401, 403, 404, 429, 500])

      it.effect.prop(
        `${name}: has a dialect that copes with whatever comes`,
        [Call, status, headers, body],
        ([call, status, headers, body]) =>
          Effect.sync(() => {
            const texts = Object.entries(body).map(([name, value]) => [name, JSON.stringify(value)])
            const ours: VendorRequest = {
              call,
              method: "POST",
              url: "https://id.example/token",
              headers,
              encoding: "form",
              parameters: Object.fromEntries(texts),
            }
            const request = dialect.request?.(ours, decoded) ?? ours
            assert.include(["GET", "POST"], request.method)
            for (const value of Object.values(request.parameters)) assert.isString(value)
            for (const to of [ours, request]) {
              const answer = dialect.answer?.({ status, headers, body }, to, decoded)
              if (answer !== undefined && "url" in answer) assert.match(answer.url, /^https:/)
            }
          }),
      )
    }
  }
})
