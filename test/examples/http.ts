import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { AccountKey, BrokerConfigEnv, BrokerHost } from "tokenkeep"
import { AuthorizedHttpClient } from "tokenkeep/http"

// Knows nothing of tokens.
const program = Effect.gen(function* () {
  const client = yield* HttpClient.HttpClient
  const response = yield* client.get("/models").pipe(Effect.flatMap(HttpClientResponse.filterStatusOk))
  yield* Console.log(yield* response.text)
}).pipe(Effect.catchTag("HttpClientError", (error) => Console.error(error.message)))

const onHost = BrokerHost.layer.pipe(Layer.provide(BrokerConfigEnv.layer), Layer.provide(NodeServices.layer))

const api = AuthorizedHttpClient.layer(AccountKey.make("example")).pipe(Layer.provide(onHost))

program.pipe(Effect.provide(api), NodeRuntime.runMain)
