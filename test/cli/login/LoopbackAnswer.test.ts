import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as LoopbackAnswer from "../../../src/cli/login/LoopbackAnswer.ts"

const page = (redirect: string, state = "st4te") =>
  `https://id.example/authorize?${new URLSearchParams({ redirect_uri: redirect, state })}`

const ours = page("http://127.0.0.1:8085/cb")

describe("a pasted address", () => {
  it("is the answer to the login whose redirect and state it has", () => {
    const answer = { host: "127.0.0.1:8085", port: 8085, target: "/cb?code=a%2Fb&state=st4te&iss=x" }
    for (const pasted of [
      "http://127.0.0.1:8085/cb?code=a%2Fb&state=st4te&iss=x",
      "  http://127.0.0.1:8085/cb?code=a%2Fb&state=st4te&iss=x#_=_ \n",
      "127.0.0.1:8085/cb?code=a%2Fb&state=st4te&iss=x",
    ]) {
      assert.deepStrictEqual(LoopbackAnswer.parse(pasted, ours), Option.some(answer))
    }
    assert.isTrue(Option.isSome(LoopbackAnswer.parse("http://127.0.0.1:8085/cb?error=access_denied&state=st4te", ours)))
  })

  it("is not, if anything else is in it", () => {
    for (const pasted of [
      "",
      "a code",
      "code=a&state=st4te",
      "http://127.0.0.1:8085/cb",
      "http://127.0.0.1:8085/cb?code=a",
      "http://127.0.0.1:8085/cb?state=st4te",
      "http://127.0.0.1:8085/cb?code=a&state=other",
      "http://127.0.0.1:8085/cb?code=a&state=st4te&state=other",
      "http://127.0.0.1:8085/other?code=a&state=st4te",
      "http://127.0.0.1:8085/cb/../other?code=a&state=st4te",
      "http://127.0.0.1:8086/cb?code=a&state=st4te",
      "http://localhost:8085/cb?code=a&state=st4te",
      "https://127.0.0.1:8085/cb?code=a&state=st4te",
      "http://evil.example:8085/cb?code=a&state=st4te",
      "http://127.0.0.1:8085@evil.example/cb?code=a&state=st4te",
      "http://user@127.0.0.1:8085/cb?code=a&state=st4te",
      "http://169.254.169.254/cb?code=a&state=st4te",
      "javascript:alert(1)",
    ]) {
      assert.isTrue(Option.isNone(LoopbackAnswer.parse(pasted, ours)), pasted)
    }
  })

  it("is expected of no login that ends elsewhere", () => {
    assert.isTrue(LoopbackAnswer.isExpected(ours))
    assert.isTrue(LoopbackAnswer.isExpected(page("http://localhost:8085/cb")))
    for (const url of [
      "no address",
      "https://id.example/authorize",
      page("https://app.example/cb"),
      page("http://evil.example:8085/cb"),
      page("http://192.168.0.1:8085/cb"),
      page("http://127.0.0.1/cb"),
      page("http://127.0.0.1:8085/cb", ""),
    ]) {
      assert.isFalse(LoopbackAnswer.isExpected(url), url)
      const [redirect = ""] = new URL(url, "https://x.example").searchParams.getAll("redirect_uri")
      assert.isTrue(Option.isNone(LoopbackAnswer.parse(`${redirect}?code=a&state=st4te`, url)), url)
    }
  })
})

describe("the visit in a browser's place", () => {
  it.live("says what was sent, follows nothing, and says whether it was taken", () =>
    Effect.gen(function* () {
      const visits: Array<string> = []
      const server = createServer((request, response) => {
        visits.push(`${request.method} ${request.headers.host} ${request.url} ${request.headers.origin}`)
        const isTaken = request.url?.includes("good") === true
        response.writeHead(isTaken ? 200 : 302, { location: "/other" }).end("page")
      })
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => {
          server.listen(0, "127.0.0.1", () => resume(Effect.void))
        }),
        () => Effect.sync(() => server.close()),
      )
      const { port } = server.address() as AddressInfo
      const bring = (target: string) => LoopbackAnswer.bring({ host: `localhost:${port}`, port, target })
      assert.isTrue(yield* bring("/cb?code=good"))
      assert.isFalse(yield* bring("/cb?code=bad"))
      assert.deepStrictEqual(visits, [
        `GET localhost:${port} /cb?code=good undefined`,
        `GET localhost:${port} /cb?code=bad undefined`,
      ])
      server.close()
      assert.strictEqual((yield* Effect.flip(bring("/cb?code=good")))._tag, "NobodyThere")
    }),
  )
})
