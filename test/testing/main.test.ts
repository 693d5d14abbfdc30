import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect } from "effect"
import { forms } from "../../src/testing/Script.ts"
import { authorizationUrl, decodeDevice, decodeTokens, redirectUri, verifier } from "./BareClient.ts"
import * as ServerProgram from "./ServerProgram.ts"

type Listening = Effect.Success<ReturnType<typeof ServerProgram.listening>>

/** A whole login, as a client goes through it. */
const logIn = ({ issuer, post, token_endpoint }: Listening) =>
  fetch(authorizationUrl(issuer), { redirect: "manual" })
    .then((response) => new URL(response.headers.get("location") ?? "").searchParams.get("code") ?? "")
    .then((code) =>
      post(token_endpoint, {
        grant_type: "authorization_code",
        code,
        code_verifier: verifier,
        redirect_uri: redirectUri,
        client_id: "scripted-client",
      }),
    )
    .then((response) => response.json())
    .then(decodeTokens)

const statusOf = (answer: Promise<Response>) =>
  answer.then(
    ({ status }) => status,
    () => "dropped",
  )

describe("tokenkeep-testing-server", () => {
  it.live("logs in, plays its script, tells what happened, and never a secret", () =>
    Effect.gen(function* () {
      const server = yield* ServerProgram.listening(["--script", "429:120,drop,any:status:503"])
      const tokens = yield* Effect.promise(() => logIn(server))
      const { access_token, refresh_token = "" } = tokens
      assert.notProperty(tokens, "id_token")
      const bearer = { authorization: `Bearer ${access_token}` }
      const used = yield* Effect.promise(() => fetch(server.resource, { headers: bearer }))
      assert.strictEqual(used.status, 200)
      const refresh = Effect.promise(() =>
        statusOf(server.post(server.token_endpoint, { grant_type: "refresh_token", refresh_token })),
      )
      const seen = [yield* refresh, yield* refresh, yield* refresh, yield* refresh]
      assert.deepStrictEqual(seen, [429, "dropped", 503, 400])
      server.kill("SIGTERM")
      const outcome = yield* Effect.promise(() => server.ended)
      assert.deepStrictEqual([outcome.code, outcome.stderr], [0, ""])
      for (const secret of [access_token, refresh_token, verifier, "code-"]) assert.notInclude(outcome.stdout, secret)
      const numbered = { family: 1, token: 1 }
      assert.containSubset(ServerProgram.callsOf(outcome), [
        { grant_type: "authorization_code", behaviour: "ok", answered: 200, issued: numbered },
        { grant_type: "refresh_token", behaviour: "429:120", answered: 429 },
        { behaviour: "drop", answered: "dropped", presented: { was: "live", ...numbered }, issued: { token: 2 } },
        { behaviour: "status:503", answered: 503 },
        { behaviour: "ok", answered: 400, presented: { was: "spent", ...numbered } },
      ])
      assert.strictEqual(ServerProgram.callsOf(outcome).length, 5)
    }),
  )

  it.live("does as its flags say, and ends well on an interrupt while somebody waits", () =>
    Effect.gen(function* () {
      const server = yield* ServerProgram.listening(
        "--rotation keep --access-token-lifetime 7 --metadata-issuer https://other.example --clock-skew -3600 --public-client --client-id me --script hang".split(
          " ",
        ),
      )
      assert.strictEqual(server.client_secret, null)
      assert.strictEqual(server.client_id, "me")
      const metadata = yield* Effect.promise(() => fetch(`${server.issuer}/.well-known/openid-configuration`))
      assert.containSubset(yield* Effect.promise(() => metadata.json()), {
        issuer: "https://other.example",
        token_endpoint_auth_methods_supported: ["none"],
      })
      const late = DateTime.subtract(yield* DateTime.now, { hours: 1 })
      const said = DateTime.makeUnsafe(metadata.headers.get("date") ?? "")
      assert.isBelow(Duration.toSeconds(Duration.abs(DateTime.distance(said, late))), 10)
      const device = yield* Effect.promise(() =>
        server
          .post(server.device_authorization_endpoint, { client_id: "me" })
          .then((response) => response.json())
          .then(decodeDevice),
      )
      const poll = Effect.promise(() =>
        server.post(server.token_endpoint, {
          grant_type: "urn:ietf:params:oauth:grant-type:device_code",
          device_code: device.device_code,
          client_id: "me",
        }),
      )
      assert.strictEqual((yield* poll).status, 400)
      const tokens = decodeTokens(yield* Effect.flatMap(poll, (response) => Effect.promise(() => response.json())))
      assert.strictEqual(tokens.expires_in, 7)
      const waiting = statusOf(
        server.post(server.token_endpoint, {
          grant_type: "refresh_token",
          refresh_token: tokens.refresh_token ?? "",
          client_id: "me",
        }),
      )
      // Once the next request is answered, the one before it has come in.
      yield* Effect.promise(() => statusOf(server.post(server.token_endpoint, { client_id: "me" })))
      server.kill("SIGINT")
      assert.strictEqual((yield* Effect.promise(() => server.ended)).code, 0)
      assert.strictEqual(yield* Effect.promise(() => waiting), "dropped")
    }),
  )

  it.live("has a person who may say no", () =>
    Effect.gen(function* () {
      const { issuer } = yield* ServerProgram.listening(["--person", "denies"])
      const response = yield* Effect.promise(() => fetch(authorizationUrl(issuer), { redirect: "manual" }))
      assert.include(response.headers.get("location"), "error=access_denied")
    }),
  )

  it.live("says on stderr what is wrong with what was typed", () =>
    Effect.gen(function* () {
      const badScript = yield* ServerProgram.run(["--script", "drop,frobnicate"])
      assert.deepStrictEqual([badScript.code, badScript.stdout], [2, ""])
      assert.include(badScript.stderr, 'there is no behaviour "frobnicate"')
      for (const form of forms) assert.include(badScript.stderr, form)
      const badGrace = yield* ServerProgram.run(["--grace", "soon"])
      assert.deepStrictEqual([badGrace.code, badGrace.stdout], [2, ""])
    }),
  )

  it.live("says when its port is taken", () =>
    Effect.gen(function* () {
      const { port } = yield* ServerProgram.listening([])
      const second = yield* ServerProgram.run(["--port", String(port)])
      assert.deepStrictEqual([second.code, second.stdout], [1, ""])
      assert.match(second.stderr, /^tokenkeep-testing-server: Cannot listen on port \d+ of 127\.0\.0\.1: .+\n$/)
    }),
  )
})
