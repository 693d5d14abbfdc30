import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted, Schedule } from "effect"
import { Broker } from "../../src/broker/Broker.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import * as AuthorizationServer from "../support/AuthorizationServer.ts"
import { configured, layer } from "../support/emulators/Configured.ts"
import { visit, type Will } from "../support/Person.ts"

const account = Account.make("work")

/** oidc-provider names no interval, so that the test need not be slow. */
const provider = ({ clientId, issuer }: AuthorizationServer.AuthorizationServer) =>
  configured("work", { extends: "oidc", issuer, clientId, device: { interval: 1 } })

const go = (url: string, userCode?: string, will: Will = "grant") =>
  Effect.promise(() => visit(url, { will, ...(userCode !== undefined && { userCode }) }))

/** The server asks to be polled once in a second. */
const toTheEnd = (sessionId: string) =>
  Effect.flatMap(Broker, (broker) =>
    broker
      .poll(sessionId)
      .pipe(Effect.repeat({ schedule: Schedule.spaced("100 millis"), until: ({ status }) => status !== "pending" })),
  )

describe("the provider oidc", () => {
  it.live("finds a server by its issuer alone, logs in by both flows, refreshes, and is revoked there", () =>
    Effect.gen(function* () {
      const server = yield* AuthorizationServer.start()
      yield* Effect.gen(function* () {
        const broker = yield* Broker
        for (const flow of ["browser_redirect", "device_code"] as const) {
          const login = yield* flow === "device_code" ? broker.initiate(account) : broker.initiate(account, { flow })
          assert.strictEqual(login.flowType, flow)
          const userCode = Option.map(login.device, (device) => device.userCode)
          yield* go(login.authUrl, Option.getOrUndefined(userCode))
          assert.strictEqual((yield* toTheEnd(login.sessionId)).status, "complete")
          const first = yield* broker.getToken(account)
          const second = yield* broker.refreshToken(account)
          assert.notStrictEqual(Redacted.value(first.accessToken), Redacted.value(second.accessToken))
          const [refreshToken] = [...server.refreshTokens].slice(-1)
          assert.strictEqual(yield* broker.removeToken(account), "revoked")
          const body = new URLSearchParams({
            grant_type: "refresh_token",
            client_id: server.clientId,
            refresh_token: refreshToken ?? "",
          })
          const refused = yield* Effect.promise(() => fetch(`${server.issuer}/token`, { method: "POST", body }))
          assert.strictEqual(refused.status, 400)
          assert.include(yield* Effect.promise(() => refused.text()), "invalid_grant")
        }
      }).pipe(Effect.provide(layer(provider(server))))
    }),
  )
})
