import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { AccountKey, Broker, BrokerConfig } from "tokenkeep"
import { Behaviour, layerBrokerMemory, ScriptedProvider } from "tokenkeep/testing"

const layer = Layer.unwrap(Effect.map(ScriptedProvider, ({ provider }) => layerBrokerMemory([provider]))).pipe(
  Layer.provide(BrokerConfig.layer("/nowhere")),
  Layer.provideMerge(ScriptedProvider.layer({ accessTokenLifetime: "10 minutes" })),
)

it.live("a provider that wants a new login is believed", () =>
  Effect.gen(function* () {
    const broker = yield* Broker
    const { calls, grant, script } = yield* ScriptedProvider
    const account = AccountKey.make("scripted")

    const login = yield* broker.initiate(account, { flow: "pkce_redirect" })
    const redirect = yield* grant(login.authUrl)
    yield* broker.exchange(login.sessionId, Redacted.make(redirect))

    yield* script([Behaviour.status(400, "invalid_grant")])
    const error = yield* Effect.flip(broker.refreshToken(account))
    assert.strictEqual(error._tag, "ReauthRequired")
    assert.deepStrictEqual(yield* calls, ["authorization_code", "refresh_token"])
  }).pipe(Effect.provide(layer)),
)
