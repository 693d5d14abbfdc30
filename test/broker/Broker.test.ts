import { Duration, Effect, Layer } from "effect"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import { overSocket } from "../support/BrokerOverSocket.ts"
import { suite } from "./BrokerContract.ts"

const inProcess = Layer.unwrap(Effect.map(ScriptedProvider, ({ provider }) => BrokerHost.layerMemory([provider]))).pipe(
  Layer.provide(BrokerConfig.layer("/nowhere", { refreshRetryDelay: Duration.zero })),
  Layer.provideMerge(ScriptedProvider.layer()),
)

suite("in the process", inProcess)
suite("over a socket", overSocket(inProcess))
