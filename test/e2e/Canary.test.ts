/**
 * Secrets are planted wherever the broker keeps one, every operation is driven, well and badly, with logging at its most
 * verbose, and every byte that comes out anywhere is searched for them.
 */
import { connect } from "node:net"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Logger, Option, Path, Redacted, References, Result, Schema, Tracer } from "effect"
import { AuthEvents } from "../../src/broker/AuthEvents.ts"
import { ApiKeys } from "../../src/broker/ApiKeys.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { toJson } from "../../src/domain/AuthEvent.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import * as Frame from "../../src/server/Frame.ts"
import { UnixServer } from "../../src/server/UnixServer.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import { layerServer } from "../support/BrokerOverSocket.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const account = { provider: "scripted", bucket: "work" }
const decodeData = Schema.decodeUnknownSync(Schema.Struct({ data: Schema.Record(Schema.String, Schema.Unknown) }))

/** A client that keeps every byte that it receives. */
const rawClient = (path: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = connect(path)
      const decoder = new Frame.Decoder()
      const received: Array<Buffer> = []
      const waiting = new Map<unknown, (reply: Frame.JsonObject) => void>()
      socket.on("data", (bytes: Buffer) => {
        received.push(bytes)
        for (const reply of Result.getOrThrow(decoder.push(bytes))) waiting.get(reply["id"])?.(reply)
      })
      let lastId = 0
      const send = (frame: Frame.JsonObject) =>
        Effect.promise(
          () =>
            new Promise<Frame.JsonObject>((resolve) => {
              waiting.set(frame["id"], resolve)
              socket.write(Result.getOrThrow(Frame.encode(frame)))
            }),
        )
      const ask = (op: string, payload: Frame.JsonObject) => send({ v: 2, id: String(++lastId), op, payload })
      return { socket, received, send, ask }
    }),
    ({ socket }) => Effect.sync(() => socket.destroy()),
  )

describe("secrets", () => {
  it.live("stay where they are kept", () =>
    Effect.gen(function* () {
      const output: Array<string> = []
      const secrets = new Map<string, string>()
      const say = (value: unknown) => output.push(typeof value === "string" ? value : JSON.stringify(value))
      const restores = (["log", "error", "warn", "info", "debug", "trace"] as const).map((name) => {
        const original = globalThis.console[name]
        globalThis.console[name] = (...args: Array<unknown>) => args.forEach(say)
        return () => {
          globalThis.console[name] = original
        }
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => restores.forEach((restore) => restore())))

      const spans: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span.name)
          const end = span.end.bind(span)
          span.end = (time, exit) => {
            output.push(span.name, JSON.stringify([...span.attributes]), String(exit), JSON.stringify(exit))
            end(time, exit)
          }
          return span
        },
      })

      /** Everything that the provider sends or is sent, so that what is secret in it is known. */
      const spying = Layer.effectDiscard(
        Effect.gen(function* () {
          const provider = yield* ScriptedProvider
          const providers = yield* Providers
          const paths = yield* Path.Path
          const fs = yield* FileSystem.FileSystem
          const { configFile } = yield* BrokerConfig
          const secretFile = paths.join(paths.dirname(configFile), "client-secret")
          yield* fs.makeDirectory(paths.dirname(configFile), { recursive: true })
          yield* fs.writeFileString(secretFile, "canary-client-secret")
          secrets.set("client secret", "canary-client-secret")
          const { name: _, secret: __, ...record } = provider.provider
          yield* providers.set("scripted", { ...record, clientSecret: { file: secretFile } })
        }),
      )

      const host = layerServer().pipe(
        Layer.provideMerge(spying),
        Layer.provideMerge(BrokerHost.layer),
        Layer.provideMerge(TemporaryHome.layerConfig()),
        Layer.provideMerge(
          ScriptedProvider.layer({ clientSecret: Option.some(Redacted.make("canary-client-secret")) }),
        ),
        Layer.provideMerge(NodeServices.layer),
        Layer.provideMerge(Logger.layer([Logger.consolePretty(), Logger.consoleJson, Logger.consoleLogFmt])),
      )

      yield* Effect.gen(function* () {
        const { path } = yield* UnixServer
        const scripted = yield* ScriptedProvider
        const store = yield* TokenStore
        const fs = yield* FileSystem.FileSystem
        const paths = yield* Path.Path
        const { configFile } = yield* BrokerConfig
        const client = yield* rawClient(path)
        const events = yield* AuthEvents
        events.listen({ tokens: true }, (event) => output.push(toJson(event)))
        yield* client.send({ v: 1, op: "handshake", payload: { minVersion: 1, maxVersion: 2 } })
        const begin = (flow: string) =>
          Effect.map(client.ask("oauth_initiate", { ...account, flow_type: flow }), (reply) => decodeData(reply).data)
        const keepSecrets = Effect.gen(function* () {
          for (const bucket of ["work", "default"]) {
            const found = yield* store.get(Account.make("scripted", bucket))
            if (found._tag === "None" || found.value.token.refreshToken === undefined) continue
            const refreshToken = Redacted.value(found.value.token.refreshToken)
            secrets.set(`refresh token ${refreshToken}`, refreshToken)
          }
        })

        const addresses = new Set<string>()
        for (const flow of ["pkce_redirect", "browser_redirect", "device_code"]) {
          for (const well of [true, false]) {
            const login = yield* begin(flow)
            const session = { session_id: login["session_id"] }
            const url = String(login["auth_url"])
            addresses.add(url)
            if (flow === "device_code") {
              const userCode = String(login["user_code"])
              yield* well ? scripted.grantDevice(userCode) : scripted.denyDevice(userCode)
              yield* Effect.sleep("1300 millis")
            } else {
              const back = yield* well ? scripted.grant(url) : scripted.deny(url)
              if (flow === "browser_redirect") {
                const page = yield* Effect.promise(() => fetch(back).then((response) => response.text()))
                output.push(page)
              }
              yield* client.ask("oauth_exchange", { ...session, code: back })
            }
            yield* client.ask("oauth_poll", session)
            yield* client.ask("oauth_poll", session)
            yield* client.ask("oauth_exchange", { ...session, code: "canary-pasted-code" })
            yield* client.ask("oauth_cancel", session)
            yield* keepSecrets
          }
        }
        yield* client.ask("get_token", account)
        yield* scripted.answerNext({ status: 500, body: { error: "canary-raw-answer" } })
        yield* client.ask("refresh_token", account)
        yield* client.ask("refresh_token", account)
        yield* keepSecrets
        const planted = { access_token: "a", refresh_token: "canary-planted", expiry: 1, id_token: "canary-planted" }
        yield* client.ask("save_token", { ...account, token: planted })
        yield* client.ask("get_token", account)
        yield* keepSecrets
        for (const op of ["list_providers", "list_buckets", "remove_token", "get_token", "nonsense", "canary-op"]) {
          yield* client.ask(op, account)
          yield* client.ask(op, {})
        }
        const keys = yield* ApiKeys
        secrets.set("API key", "canary-api-key")
        yield* keys.set("canary", Redacted.make("canary-api-key"))
        const badFile = paths.join(paths.dirname(configFile), "keys", "bad.json")
        yield* fs.writeFileString(badFile, '{"version":1,"name":"other","key":"canary-api-key"}')
        for (const op of ["has_api_key", "list_api_keys", "set_api_key", "get_bucket_stats"]) {
          for (const name of ["canary", "bad", "none"])
            yield* client.ask(op, { ...account, name, key: "canary-api-key" })
        }
        yield* client.ask("get_api_key", { name: "bad" })
        // The one way out for a key is the reply to who asks for it.
        const whole = client.received.length
        const key = yield* client.ask("get_api_key", { name: "canary" })
        assert.deepInclude(key, { ok: true, data: { key: "canary-api-key" } })
        client.received.splice(whole)
        secrets.set("pasted code", "canary-pasted-code")
        secrets.set("raw answer", "canary-raw-answer")
        secrets.set("planted token", "canary-planted")
        for (const [name, secret] of yield* scripted.secrets) secrets.set(`${name} ${secret}`, secret)

        const home = paths.dirname(configFile)
        for (const name of yield* fs.readDirectory(home, { recursive: true })) {
          const file = paths.join(home, name)
          const own = name.startsWith("accounts/") || name.startsWith("keys/") || name === "client-secret"
          if (own || (yield* fs.stat(file)).type !== "File") continue
          output.push(name, yield* fs.readFileString(file))
        }
        output.push(Buffer.concat(client.received).toString("utf8"))
        // The one place for a state is the address that a person opens.
        const everything = [...addresses].reduce((text, url) => text.replaceAll(url, ""), output.join("\n"))
        assert.isAbove(secrets.size, 15)
        for (const [name, secret] of secrets) assert.isFalse(everything.includes(secret), `${name} came out`)
        assert.isAbove(spans.length, 20)
        assert.include(everything, "session_id")
        assert.include(everything, '"type":"login_completed"')
      }).pipe(
        Effect.provide(host),
        Effect.provideService(References.MinimumLogLevel, "All"),
        Effect.provideService(Tracer.Tracer, tracer),
        Effect.scoped,
      )
    }),
  )
})
