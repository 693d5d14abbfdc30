/**
 * An authorization server in process, for tests: it follows the RFCs (discovery, PKCE with S256, device codes, rotating
 * refresh tokens that kill the grant when used twice), does what the test says a person does, and answers what the test
 * tells it to answer.
 *
 * It takes the place of `fetch`, so nothing is sent anywhere.
 */
import type { Schema } from "effect"
import { Context, Effect, Layer, Option, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { Base64Url, Hex } from "effect/encoding"
import { FetchHttpClient } from "effect/http"
import type { Provider } from "../oauth/Provider.ts"

/** An answer of the token endpoint that is given instead of the true one. */
export interface Answer {
  readonly status: number
  readonly body: Schema.Json
  readonly headers?: { readonly [name: string]: string }
}

export interface Options {
  /** What the provider is called. Default: `scripted`. */
  readonly name?: string
  /** The life of access tokens in seconds. Default: 3600. */
  readonly expiresIn?: number
}

/** What a person can do, and what the server saw. */
export class ScriptedProvider extends Context.Service<
  ScriptedProvider,
  {
    /** How the broker knows it. Offers all three flows. */
    readonly provider: Provider
    /** A person opens the authorization URL and says yes: where the browser is sent. */
    readonly grant: (authorizationUrl: string) => Effect.Effect<string>
    /** A person opens the authorization URL and says no: where the browser is sent. */
    readonly deny: (authorizationUrl: string) => Effect.Effect<string>
    /** A person enters a device code and says yes. */
    readonly grantDevice: (userCode: string) => Effect.Effect<void>
    /** A person enters a device code and says no. */
    readonly denyDevice: (userCode: string) => Effect.Effect<void>
    /** The token endpoint gives this answer next, whatever it is asked; several are given in turn. */
    readonly answerNext: (answer: Answer) => Effect.Effect<void>
    /** Every secret that was sent to the server or issued by it, and what it is: for tests that look for leaks. */
    readonly secrets: Effect.Effect<ReadonlyArray<readonly [kind: string, value: string]>>
    /** The grant types that the token endpoint was asked for, in order. */
    readonly calls: Effect.Effect<ReadonlyArray<string>>
  }
>()("tokenkeep/testing/ScriptedProvider") {
  /** The server, and the `fetch` that leads to it. */
  static readonly layer = (options: Options = {}): Layer.Layer<ScriptedProvider> =>
    Layer.effectContext(make(options)).pipe(Layer.provide([Digest.layerWebCrypto, SecureRandom.layerWebCrypto]))
}

const issuer = "https://scripted.example"
const clientId = "scripted-client"

interface Code {
  readonly challenge: string
  readonly redirectUri: string
}

interface Device {
  readonly code: string
  will: "undecided" | "granted" | "denied"
}

const make = Effect.fnUntraced(function* ({ expiresIn = 3600, name = "scripted" }: Options) {
  const run = Effect.runPromiseWith(yield* Effect.context())
  const digest = yield* Digest.Digest
  const random = yield* SecureRandom.SecureRandom
  const codes = new Map<string, Code>()
  const devices = new Map<string, Device>()
  const alive = new Set<string>()
  const spent = new Set<string>()
  const script: Array<Answer> = []
  const calls: Array<string> = []

  const secrets: Array<readonly [string, string]> = []

  const fresh = (kind: string) =>
    Effect.map(random.randomBytes(16), (bytes) => {
      const value = `${kind}-${Hex.encode(bytes)}`
      // An access token is what everybody is meant to see.
      if (kind !== "access") secrets.push([kind, value])
      return value
    })

  const issue = Effect.gen(function* () {
    const refreshToken = yield* fresh("refresh")
    alive.add(refreshToken)
    return Response.json({
      access_token: yield* fresh("access"),
      refresh_token: refreshToken,
      token_type: "Bearer",
      expires_in: expiresIn,
      account_id: "account-1",
      id_token: yield* fresh("id"),
    })
  })

  const redeemCode = Effect.fnUntraced(function* (parameters: URLSearchParams) {
    const code = parameters.get("code") ?? ""
    const known = codes.get(code)
    codes.delete(code)
    secrets.push(["verifier", parameters.get("code_verifier") ?? ""])
    const verifier = new TextEncoder().encode(parameters.get("code_verifier") ?? "")
    const challenge = Base64Url.encode(yield* digest.digest(Digest.sha256, verifier))
    return known?.challenge === challenge && known.redirectUri === parameters.get("redirect_uri")
      ? yield* issue
      : problem("invalid_grant")
  })

  const redeemDevice = (parameters: URLSearchParams) => {
    const device = [...devices.values()].find(({ code }) => code === parameters.get("device_code"))
    if (device === undefined) return Effect.succeed(problem("expired_token"))
    if (device.will === "granted") return issue
    return Effect.succeed(problem(device.will === "denied" ? "access_denied" : "authorization_pending"))
  }

  const refresh = (parameters: URLSearchParams) => {
    const token = parameters.get("refresh_token") ?? ""
    if (spent.has(token)) alive.clear()
    if (!alive.delete(token)) return Effect.succeed(problem("invalid_grant"))
    spent.add(token)
    return issue
  }

  const token = (parameters: URLSearchParams) => {
    const grantType = parameters.get("grant_type") ?? ""
    calls.push(grantType)
    const scripted = script.shift()
    if (scripted !== undefined) {
      const { body, headers, status } = scripted
      return Effect.succeed(Response.json(body, { status, ...(headers !== undefined && { headers }) }))
    }
    if (grantType === "authorization_code") return redeemCode(parameters)
    if (grantType === "refresh_token") return refresh(parameters)
    return redeemDevice(parameters)
  }

  const device = Effect.gen(function* () {
    const userCode = Hex.encode(yield* random.randomBytes(4)).toUpperCase()
    const code = yield* fresh("device")
    devices.set(userCode, { code, will: "undecided" })
    return Response.json({
      device_code: code,
      user_code: userCode,
      verification_uri: `${issuer}/device`,
      verification_uri_complete: `${issuer}/device?user_code=${userCode}`,
      expires_in: 600,
      interval: 1,
    })
  })

  const serve = (url: URL, body: URLSearchParams) => {
    switch (url.pathname) {
      case "/.well-known/openid-configuration":
        return Effect.succeed(Response.json(metadata))
      case "/token":
        return token(body)
      case "/device":
        return device
      default:
        return Effect.succeed(new Response(null, { status: 404 }))
    }
  }

  const fetch: typeof globalThis.fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const body = init?.body
    return run(serve(url, body instanceof URLSearchParams ? body : new URLSearchParams()))
  }

  const decide = (userCode: string, will: Device["will"]) =>
    Effect.sync(() => {
      const found = devices.get(userCode)
      if (found !== undefined) found.will = will
    })

  const back = (authorizationUrl: string, answer: { readonly [name: string]: string }) => {
    const asked = new URL(authorizationUrl).searchParams
    const redirect = new URL(asked.get("redirect_uri") ?? issuer)
    const state = asked.get("state") ?? ""
    secrets.push(["state", state])
    const parameters = { ...answer, state, iss: issuer }
    for (const [key, value] of Object.entries(parameters)) redirect.searchParams.set(key, value)
    return redirect.href
  }

  const scripted = ScriptedProvider.of({
    provider: {
      name,
      issuer,
      clientId,
      scopes: ["read", "offline_access"],
      flows: ["device_code", "browser_redirect", "pkce_redirect"],
      redirectUris: ["https://paste.example/callback"],
      publicFields: ["account_id"],
      secret: Option.some(Redacted.make("client-secret")),
    },
    grant: Effect.fnUntraced(function* (authorizationUrl) {
      const asked = new URL(authorizationUrl).searchParams
      const code = yield* fresh("code")
      codes.set(code, {
        challenge: asked.get("code_challenge") ?? "",
        redirectUri: asked.get("redirect_uri") ?? "",
      })
      return back(authorizationUrl, { code })
    }),
    deny: (authorizationUrl) => Effect.sync(() => back(authorizationUrl, { error: "access_denied" })),
    grantDevice: (userCode) => decide(userCode, "granted"),
    denyDevice: (userCode) => decide(userCode, "denied"),
    answerNext: (answer) => Effect.sync(() => void script.push(answer)),
    secrets: Effect.sync(() => [...secrets]),
    calls: Effect.sync(() => [...calls]),
  })

  return Context.make(ScriptedProvider, scripted).pipe(Context.add(FetchHttpClient.Fetch, fetch))
})

const problem = (error: string) => Response.json({ error }, { status: 400 })

const metadata = {
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  device_authorization_endpoint: `${issuer}/device`,
  authorization_response_iss_parameter_supported: true,
  code_challenge_methods_supported: ["S256"],
}
