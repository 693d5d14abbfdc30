import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Option, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import { AuthEvents } from "../../src/broker/AuthEvents.ts"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig, type Settings } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { toJson } from "../../src/domain/AuthEvent.ts"
import type { FlowType } from "../../src/domain/Session.ts"
import { Reason } from "../../src/oauth/ProviderFailure.ts"
import { fingerprintOf } from "../../src/system/Sha256.ts"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as Heard from "../support/Heard.ts"
import { passUntil } from "../support/emulators/Configured.ts"
import { fails, github, setUp } from "../support/Refreshing.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("scripted", "work")

const hostWith = (settings: Partial<Settings> = {}) =>
  Layer.unwrap(Effect.map(ScriptedProvider, ({ provider }) => BrokerHost.layerMemory([provider]))).pipe(
    Layer.provide(BrokerConfig.layer("/nowhere", settings)),
    Layer.provideMerge(ScriptedProvider.layer()),
  )

const begin = (flow: FlowType) => Effect.flatMap(Broker, (broker) => broker.initiate(account, { flow }))

const visit = (url: string) => Effect.promise(() => fetch(url).then((response) => response.text()))

/** What a person does, and what is told of it. */
const ends = Effect.gen(function* () {
  const { heard, take } = yield* Heard.listen
  const broker = yield* Broker
  const provider = yield* ScriptedProvider
  const paste = (text: (authUrl: string) => Effect.Effect<string>) =>
    Effect.gen(function* () {
      const { authUrl, sessionId } = yield* begin("pkce_redirect")
      yield* Effect.exit(broker.exchange(sessionId, Redacted.make(yield* text(authUrl))))
      yield* broker.cancel(sessionId)
      return take()
    })
  return { broker, hears: passUntil(() => heard.length > 0), paste, provider, take }
})

describe("a login by a device code", () => {
  for (const [what, act, end] of [
    ["is granted", "grantDevice", "login_completed device_code"],
    ["is denied", "denyDevice", "login_failed device_code denied"],
  ] as const) {
    it.effect(`that ${what} is told from beginning to end, and nothing afterwards`, () =>
      Effect.gen(function* () {
        const { broker, hears, provider, take } = yield* ends
        const { device, sessionId } = yield* begin("device_code")
        assert.deepStrictEqual(take(), ["login_started device_code"])
        yield* provider[act](Option.getOrThrow(device).userCode)
        yield* hears
        assert.deepStrictEqual(take(), [end])
        yield* Effect.exit(broker.poll(sessionId))
        yield* broker.cancel(sessionId)
        assert.deepStrictEqual(take(), [])
      }).pipe(Effect.scoped, Effect.provide(hostWith())),
    )
  }

  it.effect("that nobody grants expires, and one that is cancelled says so", () =>
    Effect.gen(function* () {
      const { broker, hears, take } = yield* ends
      yield* begin("device_code")
      assert.deepStrictEqual(take(), ["login_started device_code"])
      yield* hears
      assert.deepStrictEqual(take(), ["login_failed device_code expired"])
      const { sessionId } = yield* begin("device_code")
      yield* broker.cancel(sessionId)
      assert.deepStrictEqual(take(), ["login_started device_code", "login_failed device_code cancelled"])
    }).pipe(Effect.scoped, Effect.provide(hostWith({ sessionLifetime: Duration.seconds(5) }))),
  )
})

describe("a login in a browser", () => {
  it.effect("is told, whatever the person says there", () =>
    Effect.gen(function* () {
      const { provider, take } = yield* ends
      for (const [will, end] of [
        ["grant", "login_completed browser_redirect"],
        ["deny", "login_failed browser_redirect denied"],
      ] as const) {
        const { authUrl } = yield* begin("browser_redirect")
        yield* visit(yield* provider[will](authUrl))
        assert.deepStrictEqual(take(), ["login_started browser_redirect", end])
      }
    }).pipe(Effect.scoped, Effect.provide(hostWith())),
  )

  it.effect("that the person forgets expires", () =>
    Effect.gen(function* () {
      const { hears, take } = yield* ends
      yield* begin("browser_redirect")
      assert.deepStrictEqual(take(), ["login_started browser_redirect"])
      yield* hears
      assert.deepStrictEqual(take(), ["login_failed browser_redirect expired"])
    }).pipe(Effect.scoped, Effect.provide(hostWith({ sessionLifetime: Duration.seconds(5) }))),
  )
})

describe("a login by pasting", () => {
  it.effect("is told with what it came to, in a word of ours", () =>
    Effect.gen(function* () {
      const { paste, provider } = yield* ends
      const cases = [
        ["login_completed pkce_redirect", provider.grant],
        ["login_failed pkce_redirect denied", provider.deny],
        ["login_failed pkce_redirect refused", () => Effect.succeed("wrong")],
        ["login_failed pkce_redirect not_an_answer", () => Effect.succeed("code#of-another-login")],
      ] as const
      for (const [end, text] of cases) assert.deepStrictEqual(yield* paste(text), ["login_started pkce_redirect", end])
      yield* provider.script([Behaviour.onAnyCall(Behaviour.status(503))])
      assert.deepStrictEqual(yield* paste(provider.grant), [
        "login_started pkce_redirect",
        "login_failed pkce_redirect transient",
      ])
    }).pipe(Effect.scoped, Effect.provide(hostWith())),
  )

  it.effect("that is left is told when its session is swept, or cancelled", () =>
    Effect.gen(function* () {
      const { broker, take } = yield* ends
      const { sessionId } = yield* begin("pkce_redirect")
      yield* broker.cancel(sessionId)
      assert.deepStrictEqual(take(), ["login_started pkce_redirect", "login_failed pkce_redirect cancelled"])
      yield* begin("pkce_redirect")
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(take(), ["login_started pkce_redirect", "login_failed pkce_redirect expired"])
    }).pipe(Effect.scoped, Effect.provide(hostWith({ sessionLifetime: Duration.seconds(5) }))),
  )
})

describe("a login that cannot begin", () => {
  it.effect("is told as one that failed, for each flow that was tried", () => {
    const host = Layer.unwrap(
      Effect.map(ScriptedProvider, ({ provider }) =>
        BrokerHost.layerMemory([
          {
            ...provider,
            endpoints: { token: `${provider.issuer}/token`, authorization: `${provider.issuer}/authorize` },
            flows: ["pkce_redirect", "device_code"],
            redirectUris: [],
          },
        ]),
      ),
    ).pipe(Layer.provide(BrokerConfig.layer("/nowhere")), Layer.provideMerge(ScriptedProvider.layer()))
    return Effect.gen(function* () {
      const { broker, take } = yield* ends
      assert.strictEqual(yield* tagOf(broker.initiate(account)), "FlowInitiationFailed")
      assert.deepStrictEqual(take(), [
        "login_started pkce_redirect",
        "login_failed pkce_redirect misconfigured",
        "login_started device_code",
        "login_failed device_code misconfigured",
      ])
    }).pipe(Effect.scoped, Effect.provide(host))
  })
})

describe("a token that is asked for", () => {
  it.effect("is told with what was answered, and by its fingerprint; and so is a logout", () =>
    Effect.gen(function* () {
      const { broker, paste, provider, take } = yield* ends
      yield* Effect.exit(broker.getToken(account))
      assert.deepStrictEqual(take(), ["token_requested get_token", "token_response not_logged_in"])
      yield* paste(provider.grant)
      const { heard } = yield* Heard.listen
      const token = yield* broker.getToken(account)
      assert.deepStrictEqual(take(), ["token_requested get_token", "token_response ok", "token_served broker"])
      const served = heard.at(-1)
      if (served?._tag !== "token_served") return assert.fail("nothing was served")
      assert.strictEqual(served.fingerprint, fingerprintOf(token.accessToken))
      yield* provider.answerNext({ status: 500, body: { error: "the provider's own words" } })
      yield* TestClock.adjust("31 seconds")
      const refreshing = yield* Effect.forkChild(Effect.exit(broker.refreshToken(account)))
      yield* passUntil(() => refreshing.pollUnsafe() !== undefined)
      yield* Fiber.join(refreshing)
      assert.deepStrictEqual(take(), [
        "token_requested refresh_token",
        "refresh_started",
        "refresh_succeeded",
        "token_response ok",
        "token_served broker",
      ])
      yield* broker.saveToken(account, { accessToken: Redacted.make("brought"), tokenType: "bearer", extras: {} })
      yield* broker.removeToken(account)
      yield* broker.removeToken(account)
      assert.deepStrictEqual(take(), ["import save_token", "logout revoked"])

      const everything = heard.map(toJson).join("\n")
      const secrets = yield* provider.secrets
      assert.isAbove(secrets.length, 5)
      for (const [kind, secret] of [
        ...secrets,
        ["access token", Redacted.value(token.accessToken)],
        ["brought token", "brought"],
        ["raw answer", "own words"],
      ]) {
        assert.notInclude(everything, secret, kind)
      }
    }).pipe(Effect.scoped, Effect.provide(hostWith())),
  )
})

describe("a refresh", () => {
  const told = (reasons: ReadonlyArray<Reason>) =>
    Effect.gen(function* () {
      const { take } = yield* Heard.listen
      const { provider, refresh } = yield* setUp()
      provider.answers(github, ...reasons.map(fails))
      const asking = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3], () => Effect.exit(refresh(github)), { concurrency: 3 }),
      )
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(asking)
      return take()
    }).pipe(Effect.scoped, Effect.provide(AuthEvents.layer))

  const trouble = Reason.Transient({ what: "server-error" })
  for (const [what, reasons, events] of [
    ["works", [], ["refresh_succeeded"]],
    ["works at the third attempt", [trouble, trouble], ["refresh_succeeded"]],
    ["meets lasting trouble", [trouble, trouble, trouble], ["refresh_failed transient 5000"]],
    ["is refused for good", [Reason.ReloginNeeded()], ["refresh_failed reauth_required", "reauth_required"]],
    [
      "is put off",
      [Reason.RateLimited({ retryAfter: Option.some(Duration.seconds(120)) })],
      ["refresh_failed rate_limited 120000"],
    ],
    [
      "gets no answer twice",
      [Reason.Transient({ what: "timeout" }), Reason.Transient({ what: "timeout" })],
      ["refresh_failed lost 5000"],
    ],
    ["may not be had", [Reason.NotEntitled({ code: Option.some("own_words") })], ["refresh_failed not_entitled 5000"]],
  ] as const) {
    it.effect(`that ${what} is told once, whoever waits for it`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* told(reasons), ["refresh_started", ...events])
      }),
    )
  }
})

describe("events", () => {
  const happening = (n: number) => ({ _tag: "reauth_required", account: Account.make(`provider-${n}`) }) as const

  it.effect("are lost to a subscriber that is slow, the oldest first, and it is told how many", () =>
    Effect.gen(function* () {
      const events = yield* AuthEvents
      const stream = yield* events.subscribe()
      for (let n = 0; n < 1030; n++) events.publish(happening(n))
      const heard = yield* Stream.runCollect(Stream.take(stream, 1025))
      const [missed, first] = heard
      assert.deepInclude(missed, { _tag: "missed", count: 6 })
      assert.deepInclude(first, happening(6))
      assert.deepInclude(heard.at(-1), happening(1029))
    }).pipe(Effect.scoped, Effect.provide(AuthEvents.layer)),
  )

  it.effect("are heard as long as somebody listens to them", () =>
    Effect.gen(function* () {
      const events = yield* AuthEvents
      const flags = () => [events.isHeard, events.hearsTokens]
      assert.deepStrictEqual(flags(), [false, false])
      const first = yield* Effect.forkChild(Stream.runHead(events.stream))
      yield* Effect.yieldNow
      assert.deepStrictEqual(flags(), [true, true])
      events.publish(happening(1))
      assert.deepInclude(Option.getOrThrow(yield* Fiber.join(first)), happening(1))
      const stop = events.listen({ tokens: false }, () => {})
      assert.deepStrictEqual(flags(), [true, false])
      stop()
      assert.deepStrictEqual(flags(), [false, false])
    }).pipe(Effect.provide(AuthEvents.layer)),
  )
})
