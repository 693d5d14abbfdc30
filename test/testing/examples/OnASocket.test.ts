import { assert, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import { Behaviour, ScriptedProvider, ScriptedServer } from "tokenkeep/testing"

const insecure = { [oauth.allowInsecureRequests]: true }

it.live("a client that tries again after a lost answer is logged out", () =>
  Effect.gen(function* () {
    const { families, login, provider, script } = yield* ScriptedProvider
    const issuer = new URL(provider.issuer)
    const discovered = yield* Effect.promise(() => oauth.discoveryRequest(issuer, insecure))
    const server = yield* Effect.promise(() => oauth.processDiscoveryResponse(issuer, discovered))

    const { token } = yield* login
    const refresh = Effect.tryPromise(() =>
      oauth.refreshTokenGrantRequest(
        server,
        { client_id: provider.clientId },
        oauth.ClientSecretPost("client-secret"),
        Redacted.value(token.refreshToken),
        insecure,
      ),
    )

    yield* script([Behaviour.drop])
    yield* Effect.flip(refresh)
    assert.strictEqual((yield* refresh).status, 400)
    const [family] = yield* families
    assert.deepStrictEqual(family, { number: 1, redemptions: 1, refusals: 1, reuses: 1, dead: true })
  }).pipe(Effect.provide(ScriptedServer.layer())),
)
