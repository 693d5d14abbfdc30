import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Fiber, Layer, Option, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { OAuthClient } from "../../src/oauth/OAuthClient.ts"
import type { Provider } from "../../src/oauth/Provider.ts"

const issuer = "https://id.example"
const metadata = {
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  device_authorization_endpoint: `${issuer}/device`,
}
const provider: Provider = {
  name: "example",
  issuer,
  clientId: "client",
  scopes: ["read", "write"],
  flows: ["device_code"],
  redirectUris: [],
  publicFields: [],
  secret: Option.none(),
}

type Route = (url: URL, init: RequestInit) => Response | Promise<Response>

/** A client whose requests all go to `route`. */
const clientOf = (route: Route) =>
  Effect.map(
    Layer.build(
      Layer.fresh(OAuthClient.layer).pipe(
        Layer.provide(
          Layer.succeed(FetchHttpClient.Fetch, (input, init = {}) =>
            Promise.resolve(route(new URL(input instanceof Request ? input.url : input), init)),
          ),
        ),
      ),
    ),
    (context) => Effect.provideContext(OAuthClient, context),
  ).pipe(Effect.flatten)

/** As {@link clientOf}, with usual metadata. */
const clientAnswering = (answer: Route) =>
  clientOf((url, init) => (url.pathname.startsWith("/.well-known/") ? Response.json(metadata) : answer(url, init)))

const refreshToken = Redacted.make("rt0")

const refreshBy = (client: OAuthClient["Service"], by: Provider) =>
  Effect.flatMap(client.beginRefresh(by), (grant) => grant.redeem(refreshToken))

const refreshWith = (answer: () => Response) =>
  Effect.gen(function* () {
    const client = yield* clientAnswering(answer)
    return yield* refreshBy(client, provider)
  }).pipe(Effect.scoped)

const json = (body: string, status = 200) =>
  new Response(body, { status, headers: { "content-type": "application/json" } })

describe("an answer to a refresh", () => {
  for (const [what, answer] of [
    [
      "as the RFC has it",
      () => json('{"access_token":"a","token_type":"Bearer","refresh_token":"rt1","expires_in":60}'),
    ],
    ["of a type of its own", () => json('{"access_token":"a","token_type":"user","refresh_token":"rt1"}')],
    ["without a type", () => json('{"access_token":"a","token_type":null,"refresh_token":"rt1"}')],
    ["after a byte order mark", () => json('\uFEFF{"access_token":"a","token_type":"bearer","refresh_token":"rt1"}')],
    ["with an empty error", () => json('{"error":"","access_token":"a","token_type":"bearer","refresh_token":"rt1"}')],
    ["with status 201", () => json('{"access_token":"a","token_type":"bearer","refresh_token":"rt1"}', 201)],
    [
      "with a number that is none",
      () => json('{"access_token":"a","refresh_token":"rt1","expires_in":1e999,"x":1e999}'),
    ],
    ["with null for what it does not say", () => json('{"access_token":"a","refresh_token":"rt1","scope":null}')],
    ["with an ID token of another issuer", () => json('{"access_token":"a","refresh_token":"rt1","id_token":"junk"}')],
    ["called text/html", () => new Response('{"access_token":"a","refresh_token":"rt1"}')],
  ] as const) {
    it.effect(`${what} keeps its refresh token`, () =>
      Effect.gen(function* () {
        const token = yield* refreshWith(answer)
        assert.strictEqual(Redacted.value(token.accessToken ?? Redacted.make("")), "a")
        assert.strictEqual(Redacted.value(token.refreshToken ?? Redacted.make("")), "rt1")
      }),
    )
  }

  for (const [given, expected] of [
    ["60", 60],
    ['"60"', 60],
    ["0", 0],
    ["-5", 0],
    ["1e300", 3652 * 86_400],
    ["null", undefined],
    ['"soon"', undefined],
  ] as const) {
    it.effect(`that expires in ${given} does so in ${expected} s`, () =>
      Effect.gen(function* () {
        const token = yield* refreshWith(() => json(`{"access_token":"a","expires_in":${given}}`))
        const seconds = token.expiresAt === undefined ? undefined : DateTime.toEpochMillis(token.expiresAt) / 1000
        assert.strictEqual(seconds, expected)
      }),
    )
  }

  it.effect("may list the scopes", () =>
    Effect.gen(function* () {
      const token = yield* refreshWith(() => json('{"access_token":"a","scope":["read","list"]}'))
      assert.strictEqual(token.scope, "read list")
    }),
  )

  for (const [what, answer, tag] of [
    ["no JSON", () => json("<html>"), "Transient"],
    ["no object", () => json("[]"), "Transient"],
    ["no access token", () => json('{"token_type":"bearer"}'), "Transient"],
    ["more than a mebibyte", () => json(`{"access_token":"${"a".repeat(1024 * 1024)}"}`), "Transient"],
    ["a redirect", () => Response.redirect("https://evil.example/", 307), "EndpointMoved"],
    ["invalid_grant", () => json('{"error":"invalid_grant"}', 400), "ReloginNeeded"],
    ["invalid_grant in a 200", () => json('{"error":"invalid_grant"}'), "ReloginNeeded"],
    ["429", () => json("{}", 429), "RateLimited"],
    ["503", () => json("{}", 503), "Transient"],
    ["invalid_client", () => json('{"error":"invalid_client"}', 401), "NotEntitled"],
    ["nothing, for the connection broke", () => Response.error(), "Transient"],
  ] as const) {
    it.effect(`that is ${what} is ${tag}`, () =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(refreshWith(answer))
        assert.strictEqual(failure.reason._tag, tag)
      }),
    )
  }

  it.effect("is waited for 15 s, and then its connection is ended, also in the middle of the body", () =>
    Effect.gen(function* () {
      const signals: Array<AbortSignal | null | undefined> = []
      const stalled = () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) }))
      const client = yield* clientAnswering((_, init) => {
        signals.push(init.signal)
        return stalled()
      })
      const fiber = yield* Effect.forkChild(Effect.flip(refreshBy(client, provider)))
      while (signals.length === 0) yield* TestClock.withLive(Effect.sleep("5 millis"))
      yield* TestClock.adjust("15 seconds")
      assert.containSubset((yield* Fiber.join(fiber)).reason, { _tag: "Transient", what: "timeout" })
      assert.isTrue(signals[0]?.aborted)
    }),
  )

  it.effect("is asked for without following redirects, with the secret where the metadata says", () =>
    Effect.gen(function* () {
      const seen: Array<RequestInit> = []
      for (const methods of [undefined, ["client_secret_post"], null]) {
        const client = yield* clientOf((url, init) => {
          if (url.pathname.startsWith("/.well-known/")) {
            return Response.json({ ...metadata, token_endpoint_auth_methods_supported: methods })
          }
          seen.push(init)
          return json('{"access_token":"a"}')
        })
        yield* refreshBy(client, { ...provider, secret: Option.some(Redacted.make("s3cret")) })
      }
      for (const init of seen) assert.strictEqual(init.redirect, "manual")
      const [basic, post, odd] = seen.map((init) => new Headers(init.headers).get("authorization"))
      assert.match(basic ?? "", /^Basic /)
      assert.isNull(post)
      assert.match(odd ?? "", /^Basic /)
      assert.include(String(seen[1]?.body), "client_secret=s3cret")
    }),
  )
})

describe("an answer to the beginning of a device login", () => {
  const deviceWith = (body: object) =>
    Effect.gen(function* () {
      const client = yield* clientAnswering(() => Response.json(body))
      return yield* client.beginDevice(provider)
    })
  const usual = { device_code: "d", user_code: "U", verification_uri: "https://id.example/device", expires_in: 300 }

  for (const [what, odd, seconds] of [
    ["no interval", {}, 5],
    ["a number", { interval: 7 }, 7],
    ["text", { interval: "7" }, 7],
    ["null", { interval: null }, 5],
    ["0", { interval: 0 }, 5],
    ["next to nothing", { interval: 1e-6 }, 1],
  ] as const) {
    it.effect(`with ${what} for an interval is polled every ${seconds} s`, () =>
      Effect.gen(function* () {
        const { interval } = yield* deviceWith({ ...usual, ...odd })
        assert.strictEqual(Duration.toSeconds(interval), seconds)
      }),
    )
  }

  it.effect("need not say where it is complete, nor how long it lives", () =>
    Effect.gen(function* () {
      const device = yield* deviceWith({ ...usual, verification_uri_complete: null, expires_in: null })
      assert.isTrue(Option.isNone(device.verificationUriComplete))
      assert.strictEqual(Duration.toSeconds(device.expiresIn), 600)
    }),
  )

  it.effect("that a browser would run instead of open is refused, and controls do not come through", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(deviceWith({ ...usual, verification_uri: "javascript:alert(1)" }))
      assert.strictEqual(failure.reason._tag, "Transient")
      const device = yield* deviceWith({
        ...usual,
        user_code: "A\u001b[31m\u202eB",
        verification_uri_complete: "file:///x",
      })
      assert.notMatch(device.userCode, /[\p{Cc}\p{Cf}]/u)
      assert.isTrue(Option.isNone(device.verificationUriComplete))
    }),
  )

  it.effect("may be a refusal in a 200", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(deviceWith({ error: "unauthorized_client" }))
      assert.include(failure.message, "unauthorized_client")
    }),
  )
})

describe("metadata", () => {
  const begin = (route: Route, record: Partial<Provider> = {}) =>
    Effect.gen(function* () {
      const client = yield* clientOf(route)
      return yield* client.beginCode({ ...provider, ...record }, "https://app.example/cb")
    })

  it.effect("is found by OpenID Connect, or by RFC 8414 where that has nothing, whatever it says instead", () =>
    Effect.gen(function* () {
      for (const nothing of [
        () => json("", 404),
        () => json("", 403),
        () => new Response("<html>welcome</html>"),
        () => Response.redirect("https://id.example/login"),
      ]) {
        const grant = yield* begin((url) =>
          url.pathname === "/.well-known/oauth-authorization-server" ? Response.json(metadata) : nothing(),
        )
        assert.include(grant.authorizationUrl, "https://id.example/authorize?")
      }
    }),
  )

  it.effect("of an issuer with a path is looked for where each standard says", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const tenant = { ...metadata, issuer: `${issuer}/tenant` }
      yield* begin(
        (url) => {
          asked.push(url.pathname)
          return asked.length === 1 ? json("", 404) : Response.json(tenant)
        },
        { issuer: `${issuer}/tenant` },
      )
      assert.deepStrictEqual(asked, [
        "/tenant/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/tenant",
      ])
    }),
  )

  for (const [what, wrong] of [
    ["names another issuer", { issuer: "https://evil.example" }],
    ["sends secrets over plain http", { token_endpoint: "http://id.example/token" }],
    ["sends secrets to a program on this machine", { token_endpoint: "http://127.0.0.1:9/token" }],
    ["sends the browser to a script", { authorization_endpoint: "javascript:alert(1)" }],
    ["has no token endpoint", { token_endpoint: undefined }],
  ] as const) {
    it.effect(`that ${what} is refused`, () =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(begin(() => Response.json({ ...metadata, ...wrong })))
        assert.strictEqual(failure.reason._tag, "Misconfigured")
      }),
    )
  }

  it.effect("is asked for once an hour, and not at all where the record says it", () =>
    Effect.gen(function* () {
      let asked = 0
      const client = yield* clientOf(() => {
        asked++
        return Response.json(metadata)
      })
      yield* client.beginCode(provider, "https://app.example/cb")
      yield* TestClock.adjust("59 minutes")
      yield* client.beginCode(provider, "https://app.example/cb")
      assert.strictEqual(asked, 1)
      yield* TestClock.adjust("1 minutes")
      yield* client.beginCode(provider, "https://app.example/cb")
      assert.strictEqual(asked, 2)
      const endpoints = { token: `${issuer}/t`, authorization: `${issuer}/a` }
      const grant = yield* client.beginCode({ ...provider, endpoints }, "https://app.example/cb")
      assert.include(grant.authorizationUrl, `${issuer}/a?`)
      assert.strictEqual(asked, 2)
    }),
  )
})

describe("an authorization response", () => {
  const redeem = (record: Partial<Provider>, parameters: Record<string, string>, more: object = {}) =>
    Effect.gen(function* () {
      const client = yield* clientOf((url) =>
        url.pathname.startsWith("/.well-known/")
          ? Response.json({ ...metadata, ...more })
          : json('{"access_token":"a"}'),
      )
      const { issuer: _, ...rest } = provider
      const grant = yield* client.beginCode({ ...rest, ...record }, "https://app.example/cb")
      const state = Redacted.value(grant.state)
      return yield* grant.redeem(new URLSearchParams({ code: "c", state, ...parameters }))
    })
  const mustName = { authorization_response_iss_parameter_supported: true }

  it.effect("must name the issuer where the metadata says that it does, and never another", () =>
    Effect.gen(function* () {
      yield* redeem({ issuer }, { iss: issuer }, mustName)
      yield* redeem({ issuer }, {})
      for (const [parameters, more] of [
        [{}, mustName],
        [{ iss: `${issuer}/` }, mustName],
        [{ iss: "https://evil.example" }, {}],
      ] as const) {
        assert.strictEqual((yield* Effect.flip(redeem({ issuer }, parameters, more)))._tag, "CallbackRejected")
      }
    }),
  )

  it.effect("may name any issuer where the record knows none", () =>
    Effect.gen(function* () {
      const endpoints = { token: `${issuer}/token`, authorization: `${issuer}/authorize` }
      yield* redeem({ endpoints }, { iss: "https://accounts.example" })
    }),
  )

  it.effect("of the same length but another state is refused", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(redeem({ issuer }, { state: "x".repeat(43) }))
      assert.strictEqual(failure._tag, "CallbackRejected")
    }),
  )
})
