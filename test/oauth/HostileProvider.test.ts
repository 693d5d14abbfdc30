/**
 * A vendor's server that answers with anything, at any step, to each provider that is built in.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option, Redacted, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import * as fc from "fast-check"
import { OAuthClient } from "../../src/oauth/OAuthClient.ts"
import type { Provider } from "../../src/oauth/Provider.ts"
import { ProviderRecord } from "../../src/oauth/ProviderRecord.ts"
import { builtIn } from "../../src/providers/BuiltIn.ts"

/** Something in every secret that we send, and in nothing else. */
const mark = "5ecre7"
const refreshToken = `${mark}-refresh`

const providers: ReadonlyArray<Provider> = builtIn.map(({ dialect, name, record }) => ({
  ...Schema.decodeSync(ProviderRecord)({
    clientId: "client",
    flows: ["device_code"],
    scopes: ["read"],
    ...(record.endpoints === undefined && record.issuer === undefined && { issuer: "https://id.example" }),
    ...record,
  }),
  name,
  secret: Option.some(Redacted.make(`${mark}-client`)),
  ...(dialect !== undefined && { dialect }),
}))

const names = [
  "access_token",
  "refresh_token",
  "id_token",
  "token_type",
  "expires_in",
  "refresh_in",
  "scope",
  "error",
  "error_details",
  "code",
  "type",
  "token",
  "endpoints",
  "resource_url",
  "device_code",
  "device_auth_id",
  "user_code",
  "verification_uri",
  "interval",
  "authorization_code",
  "code_verifier",
  "message",
  "__proto__",
  "x",
]

const jwt = fc.json().map((claims) => ["e30", Buffer.from(claims).toString("base64url"), "s"].join("."))

const deep = (depth: number) => `${"[".repeat(depth)}1${"]".repeat(depth)}`

/** A value, as JSON. */
const value = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(
        "t",
        "https://evil.example/",
        "\u{1b}[2J\r\nx: y",
        "\ud800",
        "",
        " ",
        "60",
        null,
        true,
        0,
        -1,
        1e308,
      )
      .map((simple) => JSON.stringify(simple)),
  },
  jwt.map((token) => JSON.stringify(token)),
  fc.json(),
  fc.integer({ min: 0, max: 20_000 }).map(deep),
)

const body = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .uniqueArray(fc.tuple(fc.constantFrom(...names), value), { maxLength: 8, selector: ([name]) => name })
      .map((fields) => `{${fields.map(([name, value]) => `"${name}":${value}`).join(",")}}`),
  },
  fc.json(),
  fc.string(),
)

/** Trouble that passes is waited for, between the requests of one call; so it is in the first answer only. */
const answerOf = (...trouble: ReadonlyArray<number>): fc.Arbitrary<Answer> =>
  fc.record({
    status: fc.oneof(
      { weight: 3, arbitrary: fc.constant(200) },
      fc.constantFrom(201, 302, 400, 401, 403, 404, 429, ...trouble),
    ),
    body,
    headers: fc.dictionary(
      fc.constantFrom(
        "location",
        "retry-after",
        "content-type",
        "www-authenticate",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "date",
      ),
      fc.constantFrom(
        "0",
        "1e400",
        "https://evil.example/",
        "application/x-www-form-urlencoded",
        "Bearer x",
        "a, b=",
        "Fri, 31 Dec 9999 23:59:59 GMT",
      ),
    ),
  })

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Record<string, string>
}

const responseOf = ({ body, headers, status }: Answer) => new Response(body, { status, headers })

const textOf = (thing: unknown): string => (thing instanceof URLSearchParams ? thing.toString() : String(thing ?? ""))

/** Does one thing at a provider, whose server gives these answers, the last one again and again. */
const attempt = <A, E>(
  provider: Provider,
  answers: ReadonlyArray<Answer>,
  work: (client: OAuthClient["Service"]) => Effect.Effect<A, E>,
) =>
  Effect.gen(function* () {
    const sent: Array<{ readonly origin: string; readonly said: string }> = []
    const fetch: typeof globalThis.fetch = (input, init = {}) => {
      const url = new URL(input instanceof Request ? input.url : input)
      const said = [url.href, ...[...new Headers(init.headers)].map(String), textOf(init.body)].join("\n")
      sent.push({ origin: url.origin, said })
      const next = answers[Math.min(sent.length, answers.length) - 1]
      return Promise.resolve(next === undefined ? new Response() : responseOf(next))
    }
    const exit = yield* Effect.exit(
      Effect.flatMap(OAuthClient, work).pipe(
        Effect.provide(Layer.fresh(OAuthClient.layer).pipe(Layer.provide(Layer.succeed(FetchHttpClient.Fetch, fetch)))),
      ),
    )
    const own = [provider.issuer, ...Object.values(provider.endpoints ?? {})].flatMap((url) =>
      url === undefined ? [] : [new URL(url).origin],
    )
    for (const { origin } of sent) assert.include(own, origin)
    if (Exit.isFailure(exit)) {
      assert.isFalse(Cause.hasDies(exit.cause), Cause.pretty(exit.cause))
      assert.notInclude(Cause.pretty(exit.cause), mark)
    }
    return exit
  })

const anything = fc
  .tuple(answerOf(500, 502), fc.array(answerOf(), { minLength: 1, maxLength: 3 }))
  .map(([first, more]): ReadonlyArray<Answer> => [first, ...more])

const device = {
  device_code: `${mark}-device`,
  user_code: "U",
  device_auth_id: "d",
  verification_uri: "https://id.example/",
  expires_in: 600,
}
const begun: Answer = { status: 200, body: JSON.stringify(device), headers: {} }

const answering = (body: string): ReadonlyArray<Answer> => [{ status: 200, body, headers: {} }]

/** Answers that have made something throw. */
const examples = [
  answering(String.raw`{"access_token":"\u001b[2J\r\nx: y"}`),
  answering(String.raw`{"access_token":"\ud800"}`),
  answering(`{"access_token":"a","x":${deep(20_000)}}`),
  answering(`{"x":${deep(20_000)}}`),
]

const forAll = (test: (answers: ReadonlyArray<Answer>) => Effect.Effect<void>) =>
  Effect.promise(() =>
    fc.assert(
      fc.asyncProperty(anything, (answers) => Effect.runPromise(test(answers))),
      { numRuns: 8, examples: examples.map((answers) => [answers]) },
    ),
  )

describe("a server that answers with anything", () => {
  for (const provider of providers) {
    it.live(`${provider.name}: fails in words of ours, and is shown nothing that is for another`, () =>
      forAll((answers) =>
        Effect.gen(function* () {
          const token = Redacted.make(refreshToken)
          yield* attempt(provider, answers, (client) =>
            Effect.flatMap(client.beginRefresh(provider), (grant) => grant.redeem(token)),
          )
          yield* attempt(provider, answers, (client) => client.beginDevice(provider))
          yield* attempt(provider, [begun, ...answers], (client) =>
            Effect.flatMap(client.beginDevice(provider), ({ poll }) => poll),
          )
          yield* attempt(provider, answers, (client) =>
            Effect.flatMap(client.beginCode(provider, "http://127.0.0.1/callback"), (grant) =>
              grant.redeem(new URLSearchParams({ code: `${mark}-code`, state: Redacted.value(grant.state) })),
            ),
          )
          yield* attempt(provider, answers, (client) =>
            Effect.flatMap(
              client.beginRevocation(provider),
              Option.match({
                onNone: () => Effect.void,
                onSome: (grant) => grant.revoke(token, "refresh_token"),
              }),
            ),
          )
        }),
      ),
    )
  }
})

/** The fields of an answer to a refresh beside the refresh token, each of them anything. */
const beside = fc.uniqueArray(
  fc.tuple(fc.constantFrom(...names.filter((name) => !/refresh_token|error|code|type$/.test(name))), value),
  {
    maxLength: 6,
    selector: ([name]) => name,
  },
)

describe("a refresh token that came", () => {
  for (const provider of providers.filter(({ name }) => name !== "copilot" && name !== "oidc")) {
    it.live(`from ${provider.name} is kept, whatever comes with it`, () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(beside, fc.boolean(), (fields, isGood) => {
            const all = [...fields, ["refresh_token", '"new"'], ...(isGood ? [["access_token", '"a"']] : [])]
            const body = `{${all.map(([name, value]) => `"${name}":${value}`).join(",")}}`
            return Effect.runPromise(
              Effect.gen(function* () {
                const refreshed = yield* Effect.flatten(
                  attempt(provider, [{ status: 200, body, headers: {} }], (client) =>
                    Effect.flatMap(client.beginRefresh(provider), ({ redeem }) => redeem(Redacted.make(refreshToken))),
                  ),
                )
                assert.strictEqual(refreshed.refreshToken && Redacted.value(refreshed.refreshToken), "new")
              }),
            )
          }),
          {
            numRuns: 8,
            examples: [
              [[["access_token", "7"]], false],
              [[["x", deep(20_000)]], true],
              [[["id_token", deep(20_000)]], true],
            ],
          },
        ),
      ),
    )
  }
})
