import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Redacted, References, Stream, Tracer } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import * as fc from "fast-check"
import { Broker } from "../../src/broker/Broker.ts"
import { fetchFor, type Options } from "../../src/client/AuthorizedFetch.ts"
import * as AuthorizedHttpClient from "../../src/client/AuthorizedHttpClient.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import { ReauthRequired } from "../../src/domain/Errors.ts"
import type { PublicToken } from "../../src/domain/Token.ts"
import { ProviderDefinitions } from "../../src/providers/ProviderDefinitions.ts"
import * as TestApi from "../support/Api.ts"

const account = Account.make("example")
const api = { baseUrl: "https://api.example", hosts: ["*.api.example", "127.0.0.1:4000"] }

const tokenOf = (accessToken: string, extras: PublicToken["extras"] = {}): PublicToken => ({
  accessToken: Redacted.make(accessToken),
  tokenType: "bearer",
  extras,
})

/** A sandbox: a broker that has a token, and another one after a refresh. */
const sandbox = (testApi: { readonly fetch: typeof globalThis.fetch }, token = tokenOf("canary-one")) => {
  const broker = Layer.mock(Broker, {
    getToken: () => Effect.succeed(token),
    refreshToken: () => Effect.succeed(tokenOf("canary-two")),
  })
  return Layer.merge(broker, Layer.succeed(FetchHttpClient.Fetch, testApi.fetch))
}

const fetchOver = (testApi: TestApi.Api, options: Options = { api }, token?: PublicToken) =>
  Effect.provide(fetchFor(account, options), sandbox(testApi, token))

const redirectTo = (status: number, location: string) => new Response(null, { status, headers: { location } })

const tag = ({ _tag }: { readonly _tag: string }) => _tag

const abortController = () => new AbortController()

/** What a promise is rejected with. */
const rejectionOf = (promise: Promise<unknown>): Effect.Effect<unknown> =>
  Effect.promise(() =>
    promise.then(
      () => "it was not rejected",
      (error: unknown) => error,
    ),
  )

describe("a redirect", () => {
  for (const [status, init, location, followedBy] of [
    [301, {}, "/there", "GET https://api.example/there "],
    [302, { method: "HEAD" }, "https://eu.api.example/there", "HEAD https://eu.api.example/there "],
    [307, { method: "get" }, "http://127.0.0.1:4000/", undefined],
    [303, { method: "POST", body: "a" }, "/there", "GET https://api.example/there "],
    [307, { method: "POST", body: "a" }, "/there", "POST https://api.example/there a"],
    [308, { method: "PUT", body: new TextEncoder().encode("a") }, "/there", "PUT https://api.example/there a"],
    [301, { method: "POST", body: "a" }, "/there", undefined],
    [302, { method: "DELETE" }, "/there", undefined],
    [307, { method: "POST", body: new Blob(["a"]).stream(), duplex: "half" }, "/there", undefined],
    [300, {}, "/there", undefined],
    [304, {}, "/there", undefined],
    [302, { redirect: "manual" }, "/there", undefined],
    [302, {}, "https://evil.example/", undefined],
    [302, {}, "//evil.example/", undefined],
    [302, {}, "https://api.example@evil.example/", undefined],
    [302, {}, "http://api.example/", undefined],
    [302, {}, "https://api.example:444/", undefined],
    [302, {}, "data:,a", undefined],
    [302, {}, "https://", undefined],
  ] as const) {
    const asked = "method" in init ? init.method : "GET"
    it.live(`${status} of a ${asked} to ${location} is ${followedBy === undefined ? "the answer" : "followed"}`, () =>
      Effect.gen(function* () {
        const testApi = TestApi.make()
        testApi.answer = () => (testApi.asked.length === 1 ? redirectTo(status, location) : new Response("arrived"))
        const fetch = yield* fetchOver(testApi)
        const response = yield* Effect.promise(() => fetch("/here", init))
        assert.strictEqual(response.status, followedBy === undefined ? status : 200)
        assert.deepStrictEqual(
          testApi.asked.slice(1).map(({ body, method, url }) => `${method} ${url} ${body}`),
          followedBy === undefined ? [] : [followedBy],
        )
        for (const { headers } of testApi.asked) assert.strictEqual(headers.get("authorization"), "Bearer canary-one")
      }),
    )
  }

  it.live("is followed five times, and says nothing of a body that is not sent", () =>
    Effect.gen(function* () {
      const testApi = TestApi.make()
      testApi.answer = () => redirectTo(303, "/again")
      const fetch = yield* fetchOver(testApi)
      const init = { method: "POST", body: "{}", headers: { "content-type": "application/json", accept: "a/b" } }
      const response = yield* Effect.promise(() => fetch("/", init))
      assert.deepStrictEqual([response.status, testApi.asked.length], [303, 6])
      assert.deepStrictEqual(
        testApi.asked.slice(0, 2).map(({ headers }) => [headers.get("content-type"), headers.get("accept")]),
        [
          ["application/json", "a/b"],
          [null, "a/b"],
        ],
      )
    }),
  )

  it.live("after a refresh, or before, has the token that is good", () =>
    Effect.gen(function* () {
      const testApi = TestApi.make()
      testApi.answer = ({ headers, url }) => {
        if (url.endsWith("/here")) return redirectTo(307, "/there")
        return new Response(null, { status: headers.get("authorization") === "Bearer canary-two" ? 200 : 401 })
      }
      const fetch = yield* fetchOver(testApi)
      assert.strictEqual((yield* Effect.promise(() => fetch("/here"))).status, 200)
      assert.deepStrictEqual(
        testApi.asked.map(({ headers, url }) => [new URL(url).pathname, headers.get("authorization")]),
        [
          ["/here", "Bearer canary-one"],
          ["/there", "Bearer canary-one"],
          ["/there", "Bearer canary-two"],
        ],
      )
    }),
  )
})

describe("a fetch with a token", () => {
  it.live("takes a Request, whose body it can send once", () =>
    Effect.gen(function* () {
      const testApi = TestApi.make()
      testApi.answer = () => new Response(null, { status: 401 })
      const fetch = yield* fetchOver(testApi)
      const headers = { "x-a": "1" }
      const post = new Request("https://api.example/a", { method: "POST", body: "a", headers })
      assert.strictEqual((yield* Effect.promise(() => fetch(post))).status, 401)
      assert.strictEqual((yield* Effect.promise(() => fetch(new Request("https://api.example/b")))).status, 401)
      yield* Effect.promise(() => fetch(new URL("https://api.example/c"), { method: "POST", body: new FormData() }))
      assert.deepStrictEqual(
        testApi.asked.map(({ method, url }) => `${method} ${url}`),
        ["a", "b", "b", "c", "c"].map((path) => `${path === "b" ? "GET" : "POST"} https://api.example/${path}`),
      )
      assert.deepStrictEqual([testApi.asked[0]?.body, testApi.asked[0]?.headers.get("x-a")], ["a", "1"])
      const away = yield* rejectionOf(fetch(new Request("https://evil.example/")))
      assert.propertyVal(away, "_tag", "DestinationRefused")
    }),
  )

  it.live("knows the API by the account's provider, or by the name of a known one, and else sends nothing", () =>
    Effect.gen(function* () {
      const testApi = TestApi.make()
      const token = tokenOf("canary-one", { resource_url: "eu.known.example/v1" })
      const known = (name: string) => ({
        name,
        record: { api: { baseUrlField: "resource_url", hosts: [`*.${name}.example`] } },
      })
      const of = (options: Options) =>
        fetchOver(testApi, options, token).pipe(
          Effect.provideService(ProviderDefinitions, [known("example"), known("known")]),
        )
      const byName = yield* of({ definition: "known" })
      yield* Effect.promise(() => byName("/models"))
      assert.strictEqual(testApi.asked[0]?.url, "https://eu.known.example/v1/models")
      // The token names a host that is not one of its own API.
      const own = yield* of({})
      const relative = yield* rejectionOf(own("/models"))
      assert.propertyVal(relative, "_tag", "DestinationRefused")
      for (const options of [{ definition: "nobody" }, { api: {} }, { api: { hosts: ["https://API.example"] } }]) {
        const none = yield* of(options)
        const error = yield* rejectionOf(none("https://api.example/"))
        assert.match(String(error), /No host is known/)
      }
      assert.strictEqual(testApi.asked.length, 1)
    }),
  )

  it.live("does not ask for a token for what it will not send, and sends none that no header can hold", () =>
    Effect.gen(function* () {
      const testApi = TestApi.make()
      const broker = Layer.mock(Broker, { getToken: () => Effect.die("asked for a token") })
      const fetch = yield* Effect.provide(fetchFor(account, { api }), broker)
      assert.propertyVal(yield* rejectionOf(fetch("https://evil.example")), "_tag", "DestinationRefused")
      const broken = yield* fetchOver(testApi, { api }, tokenOf("canary\r\nx: y"))
      const error = yield* rejectionOf(broken("/"))
      assert.propertyVal(error, "_tag", "TokenUnusable")
      assert.notInclude(inspect(error, { depth: null, showHidden: true }), "canary")
      assert.deepStrictEqual(testApi.asked, [])
    }),
  )

  for (const outcome of ["another token", "the same token", "a failure"]) {
    it.live(`asks the broker once for all whose token was not taken, if ${outcome} comes of it`, () =>
      Effect.gen(function* () {
        const testApi = TestApi.make()
        const calls: Array<string> = []
        const one = tokenOf("canary-one")
        const answers = {
          "another token": Effect.succeed(tokenOf("canary-two")),
          "the same token": Effect.succeed(tokenOf("canary-one")),
        }
        const said = Object.entries(answers).find(([name]) => name === outcome)?.[1]
        const call = <A, E>(name: string, answer: Effect.Effect<A, E>) =>
          Effect.suspend(() => {
            calls.push(name)
            return Effect.andThen(Effect.yieldNow, answer)
          })
        const broker = Layer.mock(Broker, {
          getToken: () => call("get", Effect.succeed(one)),
          refreshToken: () => call("refresh", said ?? Effect.fail(ReauthRequired.make({ account }))),
        })
        const { promise: all, resolve } = Promise.withResolvers<void>()
        testApi.answer = async ({ headers }) => {
          if (testApi.asked.length === 20) resolve()
          await all
          return new Response(null, { status: headers.get("authorization") === "Bearer canary-one" ? 401 : 200 })
        }
        const client = yield* Effect.provide(AuthorizedHttpClient.make(account, { api }), [
          broker,
          Layer.succeed(FetchHttpClient.Fetch, testApi.fetch),
        ])
        const results = yield* Effect.all(
          Array.from({ length: 20 }, () =>
            Effect.match(client.get("/"), { onSuccess: (r) => r.status, onFailure: tag }),
          ),
          { concurrency: "unbounded" },
        )
        const expected = { "another token": 200, "the same token": 401 }[outcome] ?? "ReauthRequired"
        assert.deepStrictEqual([...new Set(results)], [expected])
        // Those who ask while the first is answered share the second answer.
        assert.deepStrictEqual(calls, ["get", "get", "get", "refresh"])
      }),
    )
  }

  it.live("is rejected as fetch is, also while it waits for a token", () =>
    Effect.gen(function* () {
      const testApi = TestApi.make()
      const failure = new TypeError("fetch failed")
      testApi.answer = () => Promise.reject(failure)
      const fetch = yield* fetchOver(testApi)
      assert.strictEqual(yield* rejectionOf(fetch("/")), failure)
      const interrupted = yield* Deferred.make<void>()
      const slow = Layer.mock(Broker, {
        getToken: () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined)),
      })
      const waiting = yield* Effect.provide(fetchFor(account, { api }), slow)
      const controller = abortController()
      const rejection = rejectionOf(waiting("/", { signal: controller.signal }))
      const fiber = yield* Effect.forkChild(rejection, { startImmediately: true })
      controller.abort(failure)
      assert.strictEqual(yield* Fiber.join(fiber), failure)
      yield* Deferred.await(interrupted)
      assert.strictEqual(yield* rejectionOf(waiting("/", { signal: AbortSignal.abort(failure) })), failure)
    }),
  )

  it.live("contacts nobody but the hosts, whatever it is asked and wherever it is redirected", () =>
    Effect.gen(function* () {
      const testApi = TestApi.make()
      const fetch = yield* fetchOver(testApi)
      const piece = fc.constantFrom(
        ..."https:|http:|//|/|\\|@|:|#|?|%2e|api.example|.api.example|evil.example|eu|[::1]|127.0.0.1:4000|2130706433|:443|:4000|\t| ".split(
          "|",
        ),
      )
      const address = fc
        .tuple(fc.constantFrom("https://", "https://api.example", "/", ""), fc.array(piece, { maxLength: 5 }))
        .map(([start, pieces]) => start + pieces.join(""))
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(address, address, async (asked, location) => {
            testApi.answer = ({ headers }) =>
              headers.get("authorization") === "Bearer canary-two"
                ? redirectTo(307, location.replace(/[^\x20-\x7e]/g, ""))
                : new Response(null, { status: 401 })
            await fetch(asked).catch(() => {})
          }),
          { numRuns: 500 },
        ),
      )
      assert.isAbove(testApi.asked.length, 500)
      const hosts = new Set(testApi.asked.map(({ url }) => new URL(url).host))
      for (const host of hosts) assert.match(host, /^(api\.example|.+\.api\.example|127\.0\.0\.1:4000)$/)
      for (const { url } of testApi.asked) {
        const { host, protocol } = new URL(url)
        if (host !== "127.0.0.1:4000") assert.strictEqual(protocol, "https:", url)
      }
    }),
  )
})

describe("the token", () => {
  it.live("is in no error, span or log", () =>
    Effect.gen(function* () {
      const testApi = TestApi.make()
      const output: Array<unknown> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          output.push(span)
          return span
        },
      })
      const client = yield* Effect.provide(AuthorizedHttpClient.make(account, { api }), sandbox(testApi))
      yield* Effect.gen(function* () {
        const ok = yield* client.get("/ok", { headers: { "x-mine": "1" } })
        output.push(ok, ok.headers, ok.request, ok.request.headers)
        for (const answer of [
          () => new Response(null, { status: 401 }),
          () => redirectTo(302, "https://evil.example/"),
          () => Promise.reject(new TypeError("fetch failed")),
        ]) {
          testApi.answer = answer
          const exit = yield* Effect.exit(HttpClient.filterStatusOk(client).get("/not-ok"))
          output.push(exit)
          yield* Effect.logError("It went wrong.", exit)
        }
        output.push(yield* Effect.exit(client.get("https://evil.example")))
      }).pipe(
        Effect.provideService(HttpClient.TracerHeaderFilter, () => true),
        Effect.provide(Logger.layer([Logger.make((entry) => void output.push(entry.message, entry.cause))])),
        Effect.provideService(References.MinimumLogLevel, "Trace"),
        Effect.withTracer(tracer),
      )
      assert.isAbove(testApi.asked.length, 4)
      for (const { headers } of testApi.asked) assert.match(headers.get("authorization") ?? "", /^Bearer canary/)
      const text = output.map((value) => inspect(value, { depth: 12, showHidden: true })).join("\n")
      assert.include(text, "url.full")
      assert.include(text, "http.request.header.x-mine")
      assert.notInclude(text, "canary")
      assert.notInclude(
        JSON.stringify(output, (_, value) => (typeof value === "bigint" ? "" : value)),
        "canary",
      )
    }),
  )
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A web server on a port of 127.0.0.1. */
const serve = (handler: Handler) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
      const server = createServer(handler)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" ? (address?.port ?? 0) : 0
        resume(Effect.succeed({ port, close: () => void (server.close(), server.closeAllConnections()) }))
      })
    }),
    ({ close }) => Effect.sync(close),
  )

const overSockets = (port: number) =>
  Effect.provide(
    AuthorizedHttpClient.make(account, { api: { baseUrl: `http://127.0.0.1:${port}` } }),
    sandbox(globalThis),
  )

describe("over real sockets", () => {
  it.live("a sink sees nothing, and the host is the one of the address", () =>
    Effect.gen(function* () {
      const seen: Array<string | undefined> = []
      let contacts = 0
      const sink = yield* serve((_, response) => {
        contacts++
        response.end()
      })
      const { port } = yield* serve((request, response) => {
        seen.push(request.headers.host)
        const status = Number(request.url?.slice(1))
        response.writeHead(status, { location: `http://127.0.0.1:${sink.port}/` }).end("here")
      })
      const client = yield* overSockets(port)
      for (const status of [301, 302, 303, 307, 308]) {
        const response = yield* client.get(`/${status}`, { headers: { host: "evil.example" } })
        assert.deepStrictEqual([response.status, yield* response.text], [status, "here"])
      }
      for (const url of [
        `http://127.0.0.1:${sink.port}`,
        `http://2130706433:${sink.port}`,
        `http://0x7f.1:${sink.port}`,
        `http://localhost:${sink.port}`,
        `http://[::1]:${sink.port}`,
        `http://LOCALHOST:${port}`,
        `http://127.0.0.1.:${sink.port}`,
        `http://127.0.0.1:${port}@127.0.0.1:${sink.port}`,
      ]) {
        assert.strictEqual((yield* Effect.flip(client.get(url)))._tag, "DestinationRefused", url)
      }
      assert.strictEqual((yield* client.get(`http://2130706433:${port}/200`)).status, 200)
      assert.deepStrictEqual([...new Set(seen)], [`127.0.0.1:${port}`])
      assert.strictEqual(contacts, 0)
    }),
  )

  it.live("an answer comes piece by piece, and ends when nobody wants it any more", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      let answering: ServerResponse | undefined
      const { port } = yield* serve((_, response) => {
        answering = response
        response.once("close", () => Deferred.doneUnsafe(closed, Effect.void))
        response.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n")
      })
      const client = yield* overSockets(port)
      const response = yield* client.get("/events")
      const got: Array<string> = []
      const second = yield* Deferred.make<void>()
      const reading = yield* response.stream.pipe(
        Stream.decodeText(),
        Stream.runForEach((text) => {
          got.push(text)
          // The next piece is sent only when this one has come.
          if (got.length === 1) answering?.write("data: 2\n\n")
          return got.length === 2 ? Deferred.succeed(second, undefined) : Effect.void
        }),
        Effect.forkChild,
      )
      yield* Deferred.await(second)
      assert.deepStrictEqual(got, ["data: 1\n\n", "data: 2\n\n"])
      yield* Fiber.interrupt(reading)
      yield* Deferred.await(closed)
    }),
  )

  it.live("a request that is interrupted is aborted", () =>
    Effect.gen(function* () {
      const come = yield* Deferred.make<void>()
      const closed = yield* Deferred.make<void>()
      const { port } = yield* serve((_, response) => {
        response.once("close", () => Deferred.doneUnsafe(closed, Effect.void))
        Deferred.doneUnsafe(come, Effect.void)
      })
      const client = yield* overSockets(port)
      const asking = yield* Effect.forkChild(client.get("/never"))
      yield* Deferred.await(come)
      yield* Fiber.interrupt(asking)
      yield* Deferred.await(closed)
    }),
  )
})
