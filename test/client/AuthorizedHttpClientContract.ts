/**
 * What an `HttpClient` with a token must do, whether the broker is in the process or at the other end of a socket.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Redacted, Stream } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import type { Broker } from "../../src/broker/Broker.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import type { Options } from "../../src/client/AuthorizedFetch.ts"
import * as AuthorizedHttpClient from "../../src/client/AuthorizedHttpClient.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import type { Api } from "../../src/oauth/ProviderRecord.ts"
import * as Behaviour from "../../src/testing/Behaviour.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as TestApi from "../support/Api.ts"
import { tagOf } from "../support/tagOf.ts"

const account = Account.make("scripted", "work")

export const api: Api = {
  baseUrl: "https://api.example/v1",
  hosts: ["*.api.example"],
  headers: { "x-version": "1" },
  headersFromFields: { "account-id": "account_id" },
  mergedHeaders: { "x-beta": ["oauth"] },
}

type Services = Broker | ScriptedProvider | TokenStore

const inProcess = (testApi: TestApi.Api) =>
  Layer.unwrap(Effect.map(ScriptedProvider, ({ provider }) => BrokerHost.layerMemory([{ ...provider, api }]))).pipe(
    Layer.provide(BrokerConfig.layer("/nowhere")),
    Layer.provideMerge(TestApi.layer(testApi, "https://scripted.example")),
    Layer.provideMerge(ScriptedProvider.layer()),
  )

/** Somebody is logged in, and the API takes no tokens but those that are good. */
const loggedIn = Effect.gen(function* () {
  const { login } = yield* ScriptedProvider
  const { token } = yield* login
  yield* (yield* TokenStore).set(account, AccountRecord.fromLogin(token, DateTime.makeUnsafe(0)))
  return token
})

const bearer = (token: { readonly accessToken: Redacted.Redacted }) => `Bearer ${Redacted.value(token.accessToken)}`

const unauthorized = () => new Response("no", { status: 401 })

/** Answers 401 to one token. */
const unlessToken = (token: { readonly accessToken: Redacted.Redacted }) => (asked: TestApi.Asked) =>
  asked.headers.get("authorization") === bearer(token) ? unauthorized() : new Response("ok")

export const suite = <E>(
  name: string,
  options: Options,
  through: (host: ReturnType<typeof inProcess>) => Layer.Layer<Services, E>,
) =>
  describe(`an HttpClient with a token from a broker ${name}`, () => {
    const test = <A, E2>(
      title: string,
      effect: (api: TestApi.Api) => Effect.Effect<A, E2, Services | HttpClient.HttpClient>,
    ) =>
      it.live(title, () => {
        const testApi = TestApi.make()
        const layer = AuthorizedHttpClient.layer(account, options).pipe(Layer.provideMerge(through(inProcess(testApi))))
        return Effect.provide(effect(testApi), layer)
      })

    test(
      "sends it, with what the API asks for, and without the caller's credentials",
      Effect.fnUntraced(function* ({ asked }) {
        const token = yield* loggedIn
        const client = yield* HttpClient.HttpClient
        const response = yield* client.post("/messages", {
          urlParams: { limit: 1 },
          headers: { authorization: "Bearer other", "x-api-key": "other", "x-beta": "mine" },
        })
        assert.strictEqual(yield* response.text, "ok")
        const [first] = asked
        assert.deepStrictEqual([first?.method, first?.url], ["POST", "https://api.example/v1/messages?limit=1"])
        const { "account-id": id, authorization, ...rest } = Object.fromEntries(first?.headers ?? [])
        assert.deepStrictEqual([id, authorization], ["account-1", bearer(token)])
        assert.deepStrictEqual([rest["x-version"], rest["x-beta"]], ["1", "mine,oauth"])
        assert.notProperty(rest, "x-api-key")
      }),
    )

    test(
      "sends nothing to another host, and says so",
      Effect.fnUntraced(function* ({ asked }) {
        yield* loggedIn
        const client = yield* HttpClient.HttpClient
        for (const url of [
          "https://evil.example/?secret",
          "//evil.example",
          "http://api.example",
          "https://a@api.example",
        ]) {
          const error = yield* Effect.flip(client.get(url))
          assert.strictEqual(error.reason._tag, "InvalidUrlError", url)
          assert.include(error.message, "The tokens of scripted:work go over https to api.example, *.api.example")
          assert.notInclude(error.message.replace(/\(GET .*/, ""), "secret")
        }
        assert.deepStrictEqual(asked, [])
      }),
    )

    test(
      "follows a redirect to its own hosts only",
      Effect.fnUntraced(function* (testApi) {
        yield* loggedIn
        const client = yield* HttpClient.HttpClient
        testApi.answer = ({ url }) =>
          url.endsWith("/away")
            ? new Response(null, { status: 302, headers: { location: "https://evil.example/" } })
            : url.endsWith("/near")
              ? new Response(null, { status: 307, headers: { location: "https://eu.api.example/here" } })
              : new Response("arrived")
        assert.strictEqual(yield* (yield* client.get("/near")).text, "arrived")
        const away = yield* client.get("/away")
        assert.deepStrictEqual([away.status, away.headers["location"]], [302, "https://evil.example/"])
        assert.deepStrictEqual(
          testApi.asked.map(({ url }) => url),
          ["https://api.example/v1/near", "https://eu.api.example/here", "https://api.example/v1/away"],
        )
      }),
    )

    test(
      "refreshes it once if the API does not take it, and sends the same again",
      Effect.fnUntraced(function* (testApi) {
        testApi.answer = unlessToken(yield* loggedIn)
        const client = yield* HttpClient.HttpClient
        const response = yield* client.execute(
          HttpClientRequest.post("/messages").pipe(HttpClientRequest.bodyJsonUnsafe({ a: 1 })),
        )
        assert.strictEqual(response.status, 200)
        assert.deepStrictEqual(
          testApi.asked.map(({ body }) => body),
          ['{"a":1}', '{"a":1}'],
        )
        assert.deepStrictEqual(yield* (yield* ScriptedProvider).calls, ["refresh_token"])
      }),
    )

    test(
      "hands back a second 401, and does not refresh for each request",
      Effect.fnUntraced(function* (testApi) {
        yield* loggedIn
        testApi.answer = unauthorized
        const client = yield* HttpClient.HttpClient
        const response = yield* client.get("/models")
        assert.deepStrictEqual([response.status, yield* response.text], [401, "no"])
        assert.strictEqual((yield* client.get("/models")).status, 401)
        // The second time there was no other token to try.
        assert.strictEqual(testApi.asked.length, 3)
        assert.deepStrictEqual(yield* (yield* ScriptedProvider).calls, ["refresh_token"])
      }),
    )

    test(
      "refreshes it once for two hundred requests at a time, and asks the host no more than it may",
      Effect.fnUntraced(function* (testApi) {
        const token = yield* loggedIn
        const { promise: all, resolve } = Promise.withResolvers<void>()
        testApi.answer = async (asked) => {
          if (testApi.asked.length === 200) resolve()
          await all
          return unlessToken(token)(asked)
        }
        const client = yield* HttpClient.HttpClient
        const statuses = yield* Effect.all(
          Array.from({ length: 200 }, (_, n) => Effect.map(client.get(`/${n}`), ({ status }) => status)),
          { concurrency: "unbounded" },
        )
        assert.deepStrictEqual([...new Set(statuses)], [200])
        assert.strictEqual(testApi.asked.length, 400)
        assert.deepStrictEqual(yield* (yield* ScriptedProvider).calls, ["refresh_token"])
      }),
    )

    test(
      "uses the one that there is by then instead of refreshing",
      Effect.fnUntraced(function* (testApi) {
        const store = yield* TokenStore
        const { login } = yield* ScriptedProvider
        const token = yield* loggedIn
        const other = (yield* login).token
        const run = Effect.runPromiseWith(yield* Effect.context())
        testApi.answer = async (asked) => {
          await run(store.set(account, AccountRecord.fromLogin(other, DateTime.makeUnsafe(0))))
          return unlessToken(token)(asked)
        }
        const client = yield* HttpClient.HttpClient
        assert.strictEqual((yield* client.get("/models")).status, 200)
        assert.strictEqual(testApi.asked.at(-1)?.headers.get("authorization"), bearer(other))
        assert.deepStrictEqual(yield* (yield* ScriptedProvider).calls, [])
      }),
    )

    test(
      "sends a stream once",
      Effect.fnUntraced(function* (testApi) {
        testApi.answer = unlessToken(yield* loggedIn)
        const client = yield* HttpClient.HttpClient
        const request = HttpClientRequest.bodyStream(Stream.make(new TextEncoder().encode("once")))
        const response = yield* client.execute(HttpClientRequest.post("/messages").pipe(request))
        assert.deepStrictEqual([response.status, testApi.asked.length], [401, 1])
        assert.strictEqual(testApi.asked[0]?.body, "once")
      }),
    )

    test(
      "has the broker's errors in its types, and as the cause of one of effect/http",
      Effect.fnUntraced(function* (testApi) {
        const typed = yield* AuthorizedHttpClient.make(account, options)
        const plain = yield* HttpClient.HttpClient
        const error = yield* Effect.flip(typed.get("/models"))
        assert.strictEqual(error._tag, "TokenNotFound")
        assert.strictEqual(yield* tagOf(typed.get("https://evil.example")), "DestinationRefused")
        const wrapped = yield* Effect.flip(plain.get("/models"))
        assert.include(wrapped.message, error.message)
        assert.propertyVal(wrapped.cause, "_tag", "TokenNotFound")
        assert.isFalse(HttpClient.isTransientError(wrapped))
        assert.deepStrictEqual(testApi.asked, [])

        yield* loggedIn
        testApi.answer = unauthorized
        yield* (yield* ScriptedProvider).script([Behaviour.status(400, "invalid_grant")])
        assert.strictEqual(yield* tagOf(typed.get("/models")), "ReauthRequired")
        assert.strictEqual((yield* Effect.flip(plain.get("/models"))).reason._tag, "EncodeError")

        testApi.answer = () => Promise.reject(new TypeError("fetch failed"))
        const broken = yield* Effect.flip(plain.get("/models"))
        assert.strictEqual(broken.reason._tag, "TransportError")
        assert.propertyVal(broken.cause, "message", "fetch failed")
      }),
    )
  })
