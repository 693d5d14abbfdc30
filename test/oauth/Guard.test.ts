import { createServer } from "node:http"
import type { LookupAddress } from "node:dns"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { type Reach, reachOf } from "../../src/oauth/Guard.ts"
import { isPublic, make } from "../../src/oauth/PublicFetchNode.ts"

const nothing: { readonly typed?: string } = {}

describe("what a server may lead to", () => {
  for (const [url, reach] of [
    ["https://id.example/token", "public"],
    ["https://id.example:8443/", "public"],
    ["https://8.8.8.8/", "public"],
    // What these resolve to, or are, is looked at when they are connected to.
    ["https://127.0.0.1/", "public"],
    ["https://[::ffff:127.0.0.1]/", "public"],
    ["http://id.example/", undefined],
    ["http://127.0.0.1/", undefined],
    ["https://localhost/", undefined],
    ["https://LOCALHOST./", undefined],
    ["https://a.localhost/", undefined],
    ["https://metadata.google.internal/", undefined],
    ["https://printer.local/", undefined],
    ["https://router.home.arpa/", undefined],
    ["https://intranet/", undefined],
    ["https://me:pw@id.example/", undefined],
    ["file:///etc/passwd", undefined],
    ["javascript:alert(1)", undefined],
    ["//id.example", undefined],
    ["", undefined],
  ] as const) {
    it(`${JSON.stringify(url)}: ${reach ?? "nowhere"}`, () => {
      assert.deepStrictEqual(reachOf(url, nothing), Option.fromUndefinedOr<Reach | undefined>(reach))
    })
  }

  for (const [typed, url, reach] of [
    ["http://127.0.0.1:8080/mcp", "http://127.0.0.1:9090/token", "anywhere"],
    ["http://localhost:8080/mcp", "http://127.0.0.1:9090/token", "anywhere"],
    ["https://intranet/mcp", "https://intranet:8443/token", "anywhere"],
    ["https://10.0.0.7/mcp", "https://10.0.0.7/token", "anywhere"],
    ["https://intranet/mcp", "http://intranet/token", undefined],
    ["https://localhost/mcp", "http://localhost/token", undefined],
    ["https://mcp.example/mcp", "http://127.0.0.1/token", undefined],
    ["https://mcp.example/mcp", "https://evil.example/token", "public"],
    ["https://intranet/mcp", "https://other/token", undefined],
    ["http://10.0.0.7/mcp", "http://10.0.0.7/token", undefined],
  ] as const) {
    it(`${url}, where a person typed ${typed}: ${reach ?? "nowhere"}`, () => {
      assert.deepStrictEqual(reachOf(url, { typed }), Option.fromUndefinedOr<Reach | undefined>(reach))
    })
  }
})

describe("an address", () => {
  for (const address of ["8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.255.255", "2606:4700::1111", "2a00:1450::1"]) {
    it(`${address} is public`, () => assert.isTrue(isPublic(address)))
  }
  for (const address of [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.19.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "localhost",
    "",
  ]) {
    it(`${address} is not public`, () => assert.isFalse(isPublic(address)))
  }
})

/** A server that everybody who must not get there would get to. */
const sink = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly seen: Array<string>; readonly close: () => void }>((resume) => {
    const seen: Array<string> = []
    const server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.socket.localAddress}`)
      response.writeHead(302, { location: "/elsewhere", "x-two": ["a", "b"] }).end("body")
    })
    server.listen(0, "0.0.0.0", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const close = () => {
        server.close()
        server.closeAllConnections()
      }
      resume(Effect.succeed({ port, seen, close }))
    })
  }),
  ({ close }) => Effect.sync(close),
)

/** A resolver that says something else each time, the last of it for ever. */
const resolver = (...answers: ReadonlyArray<ReadonlyArray<string>>) => {
  let asked = 0
  const lookup = (_: string, __: object, callback: (error: null, addresses: Array<LookupAddress>) => void) => {
    const answer = answers[Math.min(asked++, answers.length - 1)] ?? []
    callback(
      null,
      answer.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    )
  }
  return { lookup, asked: () => asked }
}

/** What a request came to: a status, or the code of what was the matter. */
const outcomeOf = (answer: Promise<Response>) =>
  Effect.promise(() =>
    answer.then(
      (response) => response.status,
      (error: unknown) => Reflect.get(Object(Reflect.get(Object(error), "cause")), "code"),
    ),
  )

describe("a request to what is public", () => {
  it.live("does not reach what is not, by name or by address, in whichever spelling", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* sink
      const { lookup } = resolver(["127.0.0.1"])
      for (const host of [
        "rebind.example",
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "0",
      ]) {
        const answer = make(lookup)(`http://${host}:${port}/`, {})
        assert.strictEqual(yield* outcomeOf(answer), "ERR_NOT_PUBLIC", host)
      }
      const mixed = resolver(["8.8.8.8", "127.0.0.1"])
      assert.strictEqual(yield* outcomeOf(make(mixed.lookup)(`http://mixed.example:${port}/`, {})), "ERR_NOT_PUBLIC")
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.scoped),
  )

  it.live("goes to the very address that was looked at, whatever the name resolves to after that", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* sink
      const { asked, lookup } = resolver(["127.0.0.2"], ["127.0.0.3"])
      const fetch = make(lookup, (address) => address === "127.0.0.2")
      const body = "a=b"
      const answer = yield* Effect.promise(() => fetch(`http://flip.example:${port}/x`, { method: "POST", body }))
      assert.strictEqual(answer.status, 302)
      assert.strictEqual(answer.headers.get("x-two"), "a, b")
      assert.strictEqual(yield* Effect.promise(() => answer.text()), "body")
      assert.strictEqual(asked(), 1)
      assert.deepStrictEqual(seen, ["POST /x 127.0.0.2"])
      assert.strictEqual(yield* outcomeOf(fetch(`http://flip.example:${port}/x`, {})), "ERR_NOT_PUBLIC")
      assert.strictEqual(seen.length, 1)
    }).pipe(Effect.scoped),
  )
})
