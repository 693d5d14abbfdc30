/**
 * The scripted authorization server itself: requests in, outcomes out, no socket. It follows the RFCs (metadata, PKCE
 * with S256, device codes, rotating refresh tokens), does what the test says a person does, and departs from all that
 * where a script or a policy tells it to.
 */
import { Clock, DateTime, Effect, Option, Redacted, Result } from "effect"
import { SecureRandom } from "effect/crypto"
import { Hex } from "effect/encoding"
import type { Provider } from "../oauth/Provider.ts"
import * as AuthorizationCodes from "./AuthorizationCodes.ts"
import { type Answer, literal, onAnyCall, type Step } from "./Behaviour.ts"
import { type Client, refusal } from "./ClientAuthentication.ts"
import * as DeviceCodes from "./DeviceCodes.ts"
import { type Asked, bodyless, json, type Outcome, problem, type Reply, text } from "./Exchange.ts"
import type { Call } from "./Journal.ts"
import type { Login } from "./Login.ts"
import { httpDate } from "./Performance.ts"
import * as Policy from "./Policy.ts"
import * as ServerMetadata from "./ServerMetadata.ts"
import * as TokenEndpoint from "./TokenEndpoint.ts"
import * as TokenFamilies from "./TokenFamilies.ts"

/** What the server is at the start. All can be left out. */
export interface Options extends Policy.Changes {
  /** What the provider is called. Default: `scripted`. */
  readonly name?: string
  /** Default: `scripted-client`. */
  readonly clientId?: string
  /** None makes a public client. Default: `client-secret`. */
  readonly clientSecret?: Option.Option<Redacted.Redacted>
  /** How the token endpoint behaves at first. */
  readonly script?: ReadonlyArray<Step>
  /**
   * Who sits in front of the browser. Somebody who `grants` or `denies` does so at once where a browser is sent, and at
   * the second poll of a device code; otherwise the test says what is done. Default: `absent`.
   */
  readonly person?: AuthorizationCodes.Will | "absent"
  /** Whether answers bring an ID token too, which is nothing but random text. Default: true. */
  readonly idTokens?: boolean
  /** Told of each call of the token endpoint. */
  readonly onCall?: (call: Call) => Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (issuer: string, options: Options) {
  const random = yield* SecureRandom.SecureRandom
  const { idTokens = true, name = "scripted", onCall = () => Effect.void, person = "absent" } = options
  const client: Client = {
    id: options.clientId ?? "scripted-client",
    secret: options.clientSecret ?? Option.some(Redacted.make("client-secret")),
  }
  let policy = Policy.change(Policy.strict, options)
  const script = [...(options.script ?? [])]
  const journal: Array<Call> = []
  const secrets: Array<readonly [kind: string, value: string]> = []
  const keepSecret = (kind: string, value: string) => {
    // Nothing is in every text, and would look like a leak in each.
    if (value !== "") secrets.push([kind, value])
  }
  const codes = AuthorizationCodes.make(issuer, client.id)
  const devices = DeviceCodes.make()
  const families = TokenFamilies.make()
  const urls = ServerMetadata.urlsOf(issuer)
  const tokens = yield* TokenEndpoint.make({
    client,
    codes,
    devices,
    families,
    person,
    keepSecret,
    policy: () => policy,
    script,
    idTokens,
    note: (call) => {
      journal.push(call)
      return onCall(call)
    },
    elsewhere: urls.elsewhere,
  })

  const secretText = (kind: string) =>
    Effect.map(random.randomBytes(16), (bytes) => {
      const value = `${kind}-${Hex.encode(bytes)}`
      keepSecret(kind, value)
      return value
    })

  const authorize = Effect.fnUntraced(function* (asked: URLSearchParams, will: AuthorizationCodes.Will) {
    const code = yield* secretText("code")
    keepSecret("state", asked.get("state") ?? "")
    return codes.authorize(asked, will, code, yield* Clock.currentTimeMillis)
  })

  const visit = Effect.fnUntraced(function* (asked: Asked): Effect.fn.Return<Reply> {
    if (person === "absent") return text(403, "Nobody is here to answer: the test has to call grant or deny.\n")
    return Result.match(yield* authorize(asked.url.searchParams, person), {
      onFailure: (why) => text(400, `${why}\n`),
      onSuccess: (location) => text(302, "", { location }),
    })
  })

  const beginDevice = Effect.fnUntraced(function* (asked: Asked): Effect.fn.Return<Reply> {
    const refused = refusal(asked, new URLSearchParams(asked.body), client)
    if (Option.isSome(refused)) return refused.value
    const userCode = Hex.encode(yield* random.randomBytes(4)).toUpperCase()
    const code = yield* secretText("device")
    devices.begin(code, userCode, yield* Clock.currentTimeMillis)
    return json(200, {
      device_code: code,
      user_code: userCode,
      verification_uri: urls.verification,
      verification_uri_complete: `${urls.verification}?user_code=${userCode}`,
      expires_in: DeviceCodes.lifetime,
      interval: DeviceCodes.interval,
    })
  })

  const visitResource = Effect.fnUntraced(function* ({ authorization = "" }: Asked): Effect.fn.Return<Reply> {
    const [, token = ""] = /^bearer +(\S+)$/i.exec(authorization) ?? []
    return families.isActive(token, yield* Clock.currentTimeMillis)
      ? json(200, { account_id: "account-1" })
      : problem("invalid_token", 401, { "www-authenticate": 'Bearer error="invalid_token"' })
  })

  const revoke = Effect.fnUntraced(function* (asked: Asked): Effect.fn.Return<Reply> {
    const parameters = new URLSearchParams(asked.body)
    const refused = refusal(asked, parameters, client)
    if (Option.isSome(refused)) return refused.value
    if (policy.revocation === "hangs") return yield* Effect.never
    if (policy.revocation === "fails") return problem("temporarily_unavailable", 503)
    families.revokeToken(parameters.get("token") ?? "")
    return text(200, "")
  })

  const describe = () => Effect.succeed(json(200, ServerMetadata.documentOf(urls, client, policy)))

  type Serve = (asked: Asked) => Effect.Effect<Reply | Outcome>
  const routes = new Map<string, readonly [method: string, serve: Serve]>([
    ["/.well-known/openid-configuration", ["GET", describe]],
    ["/.well-known/oauth-authorization-server", ["GET", describe]],
    [new URL(urls.authorization).pathname, ["GET", visit]],
    [new URL(urls.token).pathname, ["POST", tokens.serve]],
    [new URL(urls.elsewhere).pathname, ["POST", tokens.serveElsewhere]],
    [new URL(urls.deviceAuthorization).pathname, ["POST", beginDevice]],
    [new URL(urls.revocation).pathname, ["POST", revoke]],
    [new URL(urls.verification).pathname, ["GET", () => Effect.succeed(text(200, "Enter your code in the test.\n"))]],
    [new URL(urls.resource).pathname, ["GET", visitResource]],
  ])

  const route = (asked: Asked): Effect.Effect<Reply | Outcome> => {
    if (asked.body === undefined) return Effect.succeed(problem("invalid_request", 413))
    const found = routes.get(asked.url.pathname)
    if (found === undefined) return Effect.succeed(text(404, ""))
    const [method, serve] = found
    const allowed = asked.method === method || (method === "GET" && asked.method === "HEAD")
    return allowed ? serve(asked) : Effect.succeed(text(405, "", { allow: method }))
  }

  /** Every answer tells its length, and the time as the server believes it to be. */
  const complete = Effect.fnUntraced(function* ({ body, headers, status }: Reply): Effect.fn.Return<Reply> {
    const date = httpDate(DateTime.addDuration(yield* DateTime.now, policy.clockSkew))
    if (bodyless.has(status)) return { status, headers: { ...headers, date }, body: "" }
    return { status, headers: { ...headers, date, "content-length": String(Buffer.byteLength(body)) }, body }
  })

  const handle = Effect.fnUntraced(function* (asked: Asked): Effect.fn.Return<Outcome> {
    const result = yield* route(asked)
    if (!("_tag" in result)) return { _tag: "Whole", reply: yield* complete(result) }
    return result._tag === "Dropped" ? result : { ...result, reply: yield* complete(result.reply) }
  })

  const answerTo = (will: AuthorizationCodes.Will) =>
    Effect.fnUntraced(function* (authorizationUrl: string) {
      const answer = yield* authorize(new URL(authorizationUrl).searchParams, will)
      // A test that cannot begin its login has nothing to recover.
      return yield* Effect.orDie(Effect.fromResult(answer))
    })

  const provider: Provider & { readonly issuer: string } = {
    name,
    issuer,
    clientId: client.id,
    scopes: ["read", "offline_access"],
    flows: ["device_code", "browser_redirect", "pkce_redirect"],
    redirectUris: ["https://paste.example/callback"],
    publicFields: ["account_id"],
    secret: client.secret,
  }

  const login = Effect.gen(function* (): Effect.fn.Return<Login> {
    const at = yield* DateTime.now
    const { accessToken, numbered, refreshToken } = families.begin(
      yield* tokens.draw,
      policy,
      DateTime.toEpochMillis(at),
    )
    keepSecret("refresh", refreshToken)
    const token = {
      accessToken: Redacted.make(accessToken),
      refreshToken: Redacted.make(refreshToken),
      expiresAt: DateTime.addDuration(at, policy.accessTokenLifetime),
      scope: provider.scopes.join(" "),
      tokenType: "bearer",
      extras: Redacted.make({ account_id: "account-1" }),
    }
    return { family: numbered.family, token }
  })

  return {
    handle,
    controls: {
      provider,
      login,
      grant: answerTo("grants"),
      deny: answerTo("denies"),
      grantDevice: (userCode: string) => Effect.sync(() => devices.decide(userCode, "grants")),
      denyDevice: (userCode: string) => Effect.sync(() => devices.decide(userCode, "denies")),
      script: (steps: ReadonlyArray<Step>) => Effect.sync(() => void script.push(...steps)),
      unplayed: Effect.sync(() => [...script]),
      answerNext: (answer: Answer) => Effect.sync(() => void script.push(onAnyCall(literal(answer)))),
      setPolicy: (changes: Policy.Changes) =>
        Effect.sync(() => {
          policy = Policy.change(policy, changes)
        }),
      isActive: (accessToken: Redacted.Redacted) =>
        Effect.map(Clock.currentTimeMillis, (now) => families.isActive(Redacted.value(accessToken), now)),
      families: Effect.sync(() => families.list()),
      journal: Effect.sync(() => [...journal]),
      calls: Effect.sync(() => journal.map(({ grantType }) => grantType)),
      secrets: Effect.sync(() => [...secrets]),
    },
  }
})
