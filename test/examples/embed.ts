import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Redacted } from "effect"
import { AccountKey, Broker, BrokerClient, BrokerConfigEnv, BrokerHost } from "tokenkeep"

const program = Effect.gen(function* () {
  const broker = yield* Broker
  const token = yield* broker.getToken(AccountKey.make("example"))
  yield* Console.log(`A token of ${Redacted.value(token.accessToken).length} characters.`)
}).pipe(
  Effect.catchTag(["TokenNotFound", "ReauthRequired", "HostUnreachable"], (error) => Console.error(error.message)),
)

// On the host, with the refresh tokens in files:
const onHost = BrokerHost.layer.pipe(Layer.provide(BrokerConfigEnv.layer), Layer.provide(NodeServices.layer))

// In a sandbox, with nothing but a socket. The program cannot tell the difference.
const inSandbox = (path: string) => BrokerClient.layer({ path })

const [socket] = process.argv.slice(2)
program.pipe(Effect.provide(socket === undefined ? onHost : inSandbox(socket)), NodeRuntime.runMain)
