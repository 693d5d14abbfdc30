/**
 * `tokenkeep login` in this process, over a broker that knows what is built in.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { login } from "../../src/cli/Login.ts"

const layer = BrokerHost.layerMemory([]).pipe(
  Layer.provide(BrokerConfig.layer("/nowhere")),
  Layer.provideMerge(NodeServices.layer),
)

describe("tokenkeep login", () => {
  it.effect("at a provider that is not known says which there are, and which may have been meant", () =>
    Effect.gen(function* () {
      const said = (name: string) =>
        Effect.map(Effect.flip(Command.runWith(login, { version: "0" })([name])), ({ message }) => message)
      assert.match(
        yield* said("antropic:work"),
        /provider list --all\. If you meant anthropic, .*login anthropic:work$/,
      )
      assert.match(yield* said("nobody"), /provider list --all$/)
    }).pipe(Effect.provide(layer)),
  )
})
