/**
 * One of many processes that share a store. For each line on stdin, `ACCOUNT FIBERS`, so many fibers ask for a token at
 * once; one line of JSON on stdout says what they got.
 *
 * `DIE_AT=n` kills the process at its n-th step: before and after every call to the file system or the provider.
 */
import { createHash } from "node:crypto"
import { createInterface } from "node:readline"
import { NodeServices } from "@effect/platform-node"
import { Console, Effect, FileSystem, Layer, Logger, Option, Redacted, Schema, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { AccountKeyFromString } from "../../src/domain/AccountKey.ts"

const dieAt = Number(process.env["DIE_AT"] ?? Number.POSITIVE_INFINITY)
let steps = 0

const step = (name: string) =>
  Effect.sync(() => {
    steps++
    if (steps !== dieAt) return
    process.stderr.write(`${name}\n`)
    process.kill(process.pid, "SIGKILL")
  })

const around = <A, E, R>(name: string, work: Effect.Effect<A, E, R>) =>
  step(`before ${name}`).pipe(Effect.andThen(work), Effect.tap(step(`after ${name}`)))

/** The file system, with a step before and after each call that changes something. */
const steppingFiles = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(
    FileSystem.FileSystem,
    (fs) =>
      ({
        ...fs,
        open: (path, options) =>
          Effect.map(around(`open ${options?.flag}`, fs.open(path, options)), (file) => ({
            ...file,
            sync: around("sync", file.sync),
            writeAll: (buffer: Uint8Array) => around("write", file.writeAll(buffer)),
          })),
        rename: (from, to) => around("rename", fs.rename(from, to)),
      }) satisfies FileSystem.FileSystem,
  ),
).pipe(Layer.provide(NodeServices.layer))

const steppingFetch: typeof fetch = async (input, init) => {
  const isToken = init?.method === "POST"
  if (isToken) Effect.runSync(step("before the request"))
  const response = await fetch(input, init)
  if (isToken) Effect.runSync(step("after the answer"))
  return response
}

const services = BrokerHost.layer.pipe(
  Layer.provide(BrokerConfig.layer(process.env["TOKENKEEP_HOME"] ?? "")),
  Layer.provide(steppingFiles),
  Layer.provide(NodeServices.layer),
  Layer.provide(Layer.succeed(FetchHttpClient.Fetch, steppingFetch)),
)

const fingerprint = (token: string) => createHash("sha256").update(token).digest("hex").slice(0, 16)

const round = Effect.fnUntraced(function* (line: string) {
  const [name = "", fibers = "1"] = line.split(" ")
  const account = yield* Schema.decodeEffect(AccountKeyFromString)(name)
  const broker = yield* Broker
  const asked = Array.from({ length: Number(fibers) }, () => Effect.result(broker.getToken(account)))
  const answers = yield* Effect.all(asked, { concurrency: "unbounded" })
  const tokens = answers.flatMap((answer) =>
    Option.toArray(
      Option.map(Option.fromNullishOr("success" in answer ? answer.success : null), (token) =>
        fingerprint(Redacted.value(token.accessToken)),
      ),
    ),
  )
  const failures = answers.flatMap((answer) =>
    "failure" in answer ? [`${answer.failure._tag}: ${answer.failure.message}`] : [],
  )
  yield* Console.log(JSON.stringify({ account: name, tokens: [...new Set(tokens)], failures, steps }))
})

const lines = Stream.fromAsyncIterable(createInterface({ input: process.stdin }), () => "stdin").pipe(
  Stream.runForEach(round),
)

const logs = Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])

Console.log("ready").pipe(Effect.andThen(lines), Effect.provide([services, logs]), Effect.runPromise)
