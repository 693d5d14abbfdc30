/**
 * Which logins need somebody, and what is to be typed then; from the records that a store has.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer, Option, Redacted } from "effect"
import { Broker } from "../../../src/broker/Broker.ts"
import { BrokerConfig } from "../../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../../src/broker/BrokerHost.ts"
import { LoginStatus } from "../../../src/cli/status/LoginStatus.ts"
import * as AccountRecord from "../../../src/domain/AccountRecord.ts"
import { HostFailure } from "../../../src/domain/Errors.ts"
import { loggedIn } from "../../support/LoggedIn.ts"
import { recordOf } from "../../support/Records.ts"
import * as TemporaryHome from "../../support/TemporaryHome.ts"

const at = DateTime.makeUnsafe("2026-06-01T00:00:00Z")

const failed = (outcome: Exclude<AccountRecord.Outcome, "refreshed" | "lost">) =>
  AccountRecord.withFailure(recordOf("x"), AccountRecord.unused, { at, failures: 1, wait: Duration.zero, outcome })

describe("a login", () => {
  it.live("needs somebody where waiting does not help", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      yield* loggedIn(home, {
        well: recordOf("x"),
        transient: failed("transient"),
        patient: failed("rate_limited"),
        refused: failed("reauth_required"),
        unentitled: failed("not_entitled"),
        moved: failed("endpoint_moved"),
        damaged: recordOf("x"),
        later: recordOf("x"),
      })
      const fileOf = (name: string) => `${home}/accounts/${name}/default.json`
      writeFileSync(fileOf("damaged"), "{")
      writeFileSync(fileOf("later"), readFileSync(fileOf("later"), "utf8").replace(/"version":\d+/, `"version":9999`))
      const states = yield* Effect.flatMap(LoginStatus, ({ list }) => list).pipe(
        Effect.provide(
          LoginStatus.layerHost.pipe(
            Layer.provide(BrokerHost.layer),
            Layer.provide(BrokerConfig.layer(home)),
            Layer.provide(NodeServices.layer),
          ),
        ),
      )
      const found = states.map(({ account, needsAttention, next, state }) => [
        account.provider,
        state,
        needsAttention,
        Option.getOrNull(next),
      ])
      assert.sameDeepMembers(found, [
        ["well", "ok", false, null],
        ["transient", "ok", false, null],
        ["patient", "ok", false, null],
        ["refused", "reauth_required", true, "tokenkeep login refused"],
        ["unentitled", "ok", true, "tokenkeep provider show unentitled"],
        ["moved", "ok", true, "tokenkeep provider show moved"],
        [
          "damaged",
          "unreadable",
          true,
          `mv -i ${fileOf("damaged")} ${fileOf("damaged")}.damaged && tokenkeep login damaged`,
        ],
        ["later", "newer", true, null],
      ])
    }),
  )

  it.effect("that a host cannot hand out does not hide the others", () =>
    Effect.gen(function* () {
      const states = yield* Effect.flatMap(LoginStatus, ({ list }) => list)
      assert.deepStrictEqual(
        states.map(({ account, needsAttention, state }) => [account.bucket, state, needsAttention]),
        [
          ["damaged", "not_refreshed", true],
          ["well", "ok", false],
        ],
      )
    }).pipe(
      Effect.provide(
        Layer.provide(
          LoginStatus.layerClient,
          Layer.mock(Broker, {
            listProviders: Effect.succeed(["demo"]),
            listBuckets: () => Effect.succeed(["damaged", "well"]),
            getToken: ({ bucket }) =>
              bucket === "well"
                ? Effect.succeed({ accessToken: Redacted.make("x"), tokenType: "Bearer", extras: {} })
                : Effect.fail(HostFailure.make({})),
          }),
        ),
      ),
    ),
  )
})
