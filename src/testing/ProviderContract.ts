/**
 * What every provider must do, whatever its record and its dialect are: it is logged in to, refreshed, refused and
 * forgotten, by a broker with nothing on disk, at a server that takes the place of the vendor's.
 *
 * For a provider that does as the RFCs say that server is the scripted one. Where a dialect, or the record, departs so far
 * that it speaks another language, the test brings an {@link Emulator} of the vendor.
 */
import {
  Cause,
  Clock,
  Data,
  DateTime,
  Duration,
  Effect,
  Fiber,
  Layer,
  Option,
  Predicate,
  Redacted,
  Schedule,
  Schema,
  type Scope,
  Struct,
} from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import { Broker } from "../broker/Broker.ts"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import * as BrokerHost from "../broker/BrokerHost.ts"
import { TokenStore } from "../broker/TokenStore.ts"
import * as Account from "../domain/AccountKey.ts"
import type { FlowType } from "../domain/Session.ts"
import type { Provider, ProviderDefinition } from "../oauth/Provider.ts"
import { Fetch } from "../oauth/ProviderFetch.ts"
import type { Endpoints, ErrorRule, Meaning } from "../oauth/ProviderRecord.ts"
import { resolve } from "../oauth/ProviderResolution.ts"
import * as Protocol from "../server/Protocol.ts"
import * as AuthorizationServer from "./AuthorizationServer.ts"
import type { Answer } from "./Behaviour.ts"
import * as InProcessFetch from "./InProcessFetch.ts"
import { urlsOf } from "./ServerMetadata.ts"

/** A server that speaks as the vendor's does, and the people in front of it. What can be left out is not tested then. */
export interface Emulator {
  /** Where it is, in place of the vendor's own. Nothing is sent anywhere else. */
  readonly endpoints: typeof Endpoints.Encoded
  /** What leads to it. Default: the network. */
  readonly fetch?: typeof globalThis.fetch
  /** A person opens the authorization page and says yes: where the browser is sent. */
  readonly grant: (authorizationUrl: string) => Effect.Effect<string>
  /** A person enters a device code and says yes. */
  readonly grantDevice: (userCode: string) => Effect.Effect<void>
  /** Ends all logins, from the vendor's side. */
  readonly revokeAll: Effect.Effect<void>
  /** As `grant`, but no. */
  readonly deny?: (authorizationUrl: string) => Effect.Effect<string>
  /** As `grantDevice`, but no. */
  readonly denyDevice?: (userCode: string) => Effect.Effect<void>
  /** The next call of the token endpoint is answered so, whatever it asks. */
  readonly answerNext?: (answer: Answer) => Effect.Effect<void>
}

export interface Options {
  /** What a person would have to say in the configuration: a `clientId`, for example. */
  readonly record?: Schema.JsonObject
  /** Made anew for each test, and gone after it. Default: the scripted server. */
  readonly emulator?: Effect.Effect<Emulator, never, Scope.Scope>
}

/** The provider does not do what it must. */
export class ContractBroken extends Data.TaggedError("ContractBroken")<{ readonly detail: string }> {
  override get message(): string {
    return this.detail
  }
}

/** One test, for any runner. It has a clock of its own, so it waits for nothing. */
export interface Case {
  readonly name: string
  readonly run: Effect.Effect<void, ContractBroken>
}

const broken = (detail: string) => Effect.fail(new ContractBroken({ detail }))

const expect = (isSo: boolean, detail: string): Effect.Effect<void, ContractBroken> =>
  isSo ? Effect.void : broken(detail)

const failureOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<E, ContractBroken, R> =>
  Effect.matchEffect(effect, {
    onFailure: Effect.succeed,
    onSuccess: () => broken("what had to be refused was granted"),
  })

/** The tests that a provider has to pass. */
export const providerContract = (definition: ProviderDefinition, options: Options = {}): ReadonlyArray<Case> => {
  const { name } = definition
  const account = Account.make(name)
  const { emulator = scriptedEmulator(definition, options.record), record: said = {} } = options
  const resolved = resolve(name, options.record && withAddress(options.record), [
    { ...definition, record: withAddress(definition.record) },
  ])
  if (resolved._tag !== "Resolved") {
    const why =
      resolved._tag === "Incomplete" ? `the test has to say its ${resolved.missing.join(", ")}` : mistakesOf(resolved)
    return [{ name: "has a record that can be used", run: broken(`The record of ${name} cannot be used: ${why}.`) }]
  }
  const { record } = resolved.resolved
  if (options.emulator === undefined && speaksAnother(definition)) {
    return [{ name: "has an emulator", run: broken(foreign(name)) }]
  }

  const test = <E>(title: string, body: (world: World) => Effect.Effect<void, E, Broker | TokenStore>): Case => ({
    name: title,
    run: inWorld(definition, said, emulator, body),
  })

  const loginBy = (world: World, flow: FlowType) => login(world, account, flow, "grant")
  /** The flow that all tests use that are about something else: the one that needs least. */
  const plain =
    (["pkce_redirect", "device_code"] as const).find((flow) => record.flows.includes(flow)) ?? record.flows[0]

  const refreshed = Effect.fnUntraced(function* (world: World) {
    const broker = yield* Broker
    return yield* world.awaited(broker.refreshToken(account))
  })
  const refreshToken = Effect.gen(function* () {
    const store = yield* TokenStore
    const kept = yield* store.get(account)
    return Option.flatMap(kept, ({ token }) => Option.fromUndefinedOr(token.refreshToken))
  })
  /** Does nothing more where there is nothing to refresh with, once that is said. */
  const refreshable = (
    title: string,
    body: (world: World) => Effect.Effect<void, { readonly message: string }, Broker | TokenStore>,
  ) =>
    test(title, (world) =>
      Effect.gen(function* () {
        yield* loginBy(world, plain)
        if (Option.isSome(yield* refreshToken)) return yield* body(world)
        const failure = yield* failureOf(refreshed(world))
        yield* expect(failure._tag === "RefreshNotAvailable", `without a refresh token it said: ${failure.message}`)
      }),
    )
  const errors = record.errors ?? []
  /** What becomes of a refresh that is answered so; undefined where the record, or the emulator, has no common answer. */
  const refusedWith = Effect.fnUntraced(function* (
    world: World,
    answer: Answer,
    rules: ReadonlyArray<ErrorRule> = errors,
  ) {
    const { answerNext } = world.emulator
    if (answerNext === undefined || rules.some((rule) => fits(rule, answer))) return undefined
    // Trouble is tried again twice.
    yield* answerNext(answer)
    yield* answerNext(answer)
    yield* answerNext(answer)
    return (yield* failureOf(refreshed(world)))._tag
  })
  const stillThere = Effect.fnUntraced(function* (world: World) {
    const broker = yield* Broker
    yield* world.awaited(broker.getToken(account))
  })

  return [
    ...record.flows.flatMap((flow) => [
      test(`is logged in to by ${flow}, and says no secret`, (world) =>
        Effect.gen(function* () {
          const { begun, outcome } = yield* loginBy(world, flow)
          yield* expect(outcome._tag === "Granted", `the login ended as ${outcome._tag}`)
          if (outcome._tag !== "Granted") return
          const { token } = outcome
          yield* expect(Redacted.value(token.accessToken) !== "", "the access token is empty")
          const texts = [JSON.stringify(Protocol.encodeInitiated(begun)), JSON.stringify(Protocol.encodeToken(token))]
          const said = texts.join("\n")
          const leaked = world.secrets().filter(([, value]) => value !== "" && said.includes(value))
          yield* expect(leaked.length === 0, `what is public has its ${leaked.map(([what]) => what).join(", ")}`)
        })),
      test(`keeps nothing when a person says no to ${flow}`, (world) =>
        Effect.gen(function* () {
          const { deny, denyDevice } = world.emulator
          if ((flow === "device_code" ? denyDevice : deny) === undefined) return
          const { outcome } = yield* login(world, account, flow, "deny")
          yield* expect(outcome._tag === "Denied", `the login ended as ${outcome._tag}`)
          const broker = yield* Broker
          const failure = yield* failureOf(broker.getToken(account))
          yield* expect(failure._tag === "TokenNotFound", "a token is there all the same")
        })),
    ]),
    refreshable("is refreshed, and again, with or without a new refresh token", (world) =>
      Effect.gen(function* () {
        const seen = new Set<string>()
        for (const rotation of ["rotate", "rotate", "keep", "keep"] as const) {
          yield* world.rotate(rotation)
          const before = yield* refreshToken
          seen.add(Redacted.value((yield* refreshed(world)).accessToken))
          yield* expect(Option.isSome(yield* refreshToken), "a refresh has lost the refresh token")
          if (rotation === "keep" && world.isScripted) {
            const isSame = Option.getOrElse(before, nothing) === Option.getOrElse(yield* refreshToken, nothing)
            yield* expect(isSame, "a refresh token that was not replaced has changed")
          }
        }
        yield* expect(seen.size === 4, "a refresh has brought the access token that was there")
      }),
    ),
    refreshable("is refreshed by itself once its access token has expired", (world) =>
      Effect.gen(function* () {
        const broker = yield* Broker
        const { accessToken, expiresAt } = yield* broker.getToken(account)
        if (expiresAt === undefined) return
        const left = DateTime.distance(yield* DateTime.now, expiresAt)
        yield* TestClock.adjust(Duration.sum(left, Duration.seconds(1)))
        const next = yield* world.awaited(broker.getToken(account))
        yield* expect(
          Redacted.value(next.accessToken) !== Redacted.value(accessToken),
          "an expired token was handed out",
        )
      }),
    ),
    refreshable("wants a new login when the provider has ended the old one", (world) =>
      Effect.gen(function* () {
        yield* world.emulator.revokeAll
        const failure = yield* failureOf(refreshed(world))
        yield* expect(failure._tag === "ReauthRequired", `a login that was ended said: ${failure.message}`)
      }),
    ),
    refreshable("keeps the login when the provider has trouble", (world) =>
      Effect.gen(function* () {
        const tag = yield* refusedWith(world, { status: 503, body: { error: "temporarily_unavailable" } })
        if (tag === undefined) return
        yield* expect(tag === "RefreshFailed", `trouble was taken for ${tag}`)
        yield* stillThere(world)
        yield* TestClock.adjust("10 minutes")
        yield* refreshed(world)
      }),
    ),
    refreshable("keeps the login when the client is refused", (world) =>
      Effect.gen(function* () {
        const tag = yield* refusedWith(world, { status: 401, body: { error: "invalid_client" } })
        if (tag === undefined) return
        yield* expect(tag === "RefreshFailed", `a refusal of the client was taken for ${tag}`)
        yield* stillThere(world)
      }),
    ),
    refreshable("waits as long as the provider asks for", (world) =>
      Effect.gen(function* () {
        const tag = yield* refusedWith(world, { status: 429, body: {}, headers: { "retry-after": "90" } })
        if (tag === undefined) return
        yield* expect(tag === "RefreshRateLimited", `a request for patience was taken for ${tag}`)
        yield* TestClock.adjust("89 seconds")
        const again = yield* failureOf(refreshed(world))
        yield* expect(again._tag === "RefreshRateLimited", "it did not wait")
      }),
    ),
    ...errors.flatMap(({ calls, code, means, status = 400 }, at) => {
      const expected = tags[means]
      if (expected === undefined || (calls !== undefined && !calls.includes("refresh"))) return []
      return [
        refreshable(`takes ${status} ${code ?? ""} for ${means}, as its record has it`, (world) =>
          Effect.gen(function* () {
            const answer = { status, body: code === undefined ? {} : { error: code } }
            const tag = yield* refusedWith(world, answer, errors.slice(0, at))
            if (tag !== undefined) yield* expect(tag === expected, `it was taken for ${tag}`)
          }),
        ),
      ]
    }),
    test("is logged out of, and told so where it can be", (world) =>
      Effect.gen(function* () {
        const broker = yield* Broker
        yield* loginBy(world, plain)
        const outcome = yield* world.awaited(broker.removeToken(account))
        const expected = world.emulator.endpoints.revocation === undefined ? "not_offered" : "revoked"
        yield* expect(outcome === expected, `the logout ended as ${outcome}, not as ${expected}`)
        const failure = yield* failureOf(broker.getToken(account))
        yield* expect(failure._tag === "TokenNotFound", "the token is still there")
      })),
  ]
}

/** How a refresh ends that is refused so. */
const tags: { readonly [meaning in Meaning]?: string } = {
  relogin: "ReauthRequired",
  refused: "RefreshFailed",
  rate_limited: "RefreshRateLimited",
  trouble: "RefreshFailed",
  moved: "RefreshFailed",
}

const nothing = () => undefined

const codeIn = ({ body }: Answer): string | undefined =>
  Predicate.isObject(body) && "error" in body ? String(body["error"]) : undefined

const fits = ({ calls, code, status }: ErrorRule, answer: Answer) =>
  (calls === undefined || calls.includes("refresh")) &&
  (status === undefined || status === answer.status) &&
  (code === undefined || code.toLowerCase() === codeIn(answer)?.toLowerCase())

const mistakesOf = (resolution: { readonly _tag: string; readonly mistakes?: ReadonlyArray<string> }) =>
  resolution.mistakes?.join("; ") ?? "there is none"

/** The addresses are those of the server in the test; without an issuer its answers are not held against the vendor's. */
const withAddress = <R extends { readonly issuer?: unknown }>({ issuer, ...record }: R) =>
  issuer === undefined || "endpoints" in record ? record : { ...record, endpoints: { token: `${origin}/token` } }

// The scripted server

const origin = "https://scripted.example"

const speaksAnother = ({ dialect, record }: ProviderDefinition) =>
  dialect !== undefined ||
  record.pkce === "none" ||
  (record.expiry !== undefined && record.expiry !== "expires_in") ||
  (record.device?.pkce !== undefined && record.device.pkce !== "none")

const foreign = (name: string) =>
  `The scripted server follows the RFCs, and ${name} does not: its dialect, pkce, expiry or device says so. Give an emulator.`

/** What the scripted server offers beyond what others can do. */
interface ScriptedEmulator extends Emulator {
  readonly rotate: (rotation: "rotate" | "keep") => Effect.Effect<void>
}

const isScripted = (emulator: Emulator): emulator is ScriptedEmulator => "rotate" in emulator

/** The scripted server as an emulator: for a dialect that departs from the RFCs in little that such a server looks at. */
export const scriptedEmulator = (
  { name, record }: ProviderDefinition,
  said: Schema.JsonObject = {},
): Effect.Effect<Emulator, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clientId = typeof said["clientId"] === "string" ? said["clientId"] : (record.clientId ?? "")
    const hasSecret = (said["clientSecret"] ?? record.clientSecret) !== undefined
    const { controls, handle } = yield* AuthorizationServer.make(origin, {
      name,
      clientId,
      clientSecret: hasSecret ? Option.some(secret) : Option.none(),
    })
    const fetch = yield* InProcessFetch.make(origin, handle)
    const urls = urlsOf(origin)
    const { endpoints } = record
    const answerNext = (answer: Answer) => controls.script([{ _tag: "Literal", answer }])
    const emulator: ScriptedEmulator = {
      endpoints: {
        authorization: urls.authorization,
        token: urls.token,
        deviceAuthorization: urls.deviceAuthorization,
        ...(endpoints?.devicePoll !== undefined && { devicePoll: urls.token }),
        ...((endpoints === undefined || endpoints.revocation !== undefined) && { revocation: urls.revocation }),
      },
      fetch: asForms(fetch),
      grant: controls.grant,
      deny: controls.deny,
      grantDevice: controls.grantDevice,
      denyDevice: controls.denyDevice,
      answerNext,
      revokeAll: controls.script(
        Array.from({ length: 3 }, () => ({
          _tag: "Literal" as const,
          answer: { status: 400, body: { error: "invalid_grant" } },
        })),
      ),
      rotate: (rotation) => controls.setPolicy({ rotation }),
    }
    return emulator
  }).pipe(Effect.provide([Digest.layerWebCrypto, SecureRandom.layerWebCrypto]))

const secret = Redacted.make("contract-client-secret")

const decodeTexts = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.String)))

/** The scripted server reads forms only; what is in a JSON body is what would be in a form. */
const asForms =
  (fetch: typeof globalThis.fetch): typeof globalThis.fetch =>
  (input, init = {}) => {
    const headers = new Headers(init.headers)
    const texts = typeof init.body === "string" ? decodeTexts(init.body) : Option.none()
    if (Option.isNone(texts) || headers.get("content-type")?.includes("json") !== true) return fetch(input, init)
    headers.set("content-type", "application/x-www-form-urlencoded")
    return fetch(input, { ...init, headers, body: new URLSearchParams(texts.value).toString() })
  }

// One test

interface World {
  readonly emulator: Emulator
  readonly isScripted: boolean
  readonly rotate: (rotation: "rotate" | "keep") => Effect.Effect<void>
  /** The secrets that were sent or came until now, and what they are. */
  readonly secrets: () => ReadonlyArray<readonly [what: string, value: string]>
  /** Lets time pass for as long as something waits for it, and for nothing that is under way. */
  readonly awaited: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ContractBroken, R>
  /** Opens the page that a browser is sent to. */
  readonly open: (url: string) => Effect.Effect<void>
}

/** What must not be in anything public. */
const secretFields = ["refresh_token", "id_token", "device_code", "code_verifier", "code", "client_secret"]

const secretsIn = (text: string): ReadonlyArray<readonly [string, string]> => {
  const fields = Option.getOrElse(decodeFields(text), (): { readonly [name: string]: unknown } =>
    Object.fromEntries(new URLSearchParams(text)),
  )
  return secretFields.flatMap((name) => {
    const value = fields[name]
    return typeof value === "string" ? [[name, value] as const] : []
  })
}
const decodeFields = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

/** What is waited for in the network, or in a hash, does not show on the clock of the test. */
const moment = TestClock.withLive(Effect.sleep("1 millis"))

const realTime = TestClock.withLive(Clock.currentTimeMillis)

/** In real time. Then something waits for what never comes. */
const patience = Duration.toMillis("10 seconds")

const inWorld = <E>(
  definition: ProviderDefinition,
  said: Schema.JsonObject,
  make: Effect.Effect<Emulator, never, Scope.Scope>,
  body: (world: World) => Effect.Effect<void, E, Broker | TokenStore>,
): Effect.Effect<void, ContractBroken> =>
  Effect.gen(function* () {
    yield* TestClock.setTime(yield* realTime)
    const network = yield* Fetch
    const emulator = yield* make
    const provider = yield* providerAt(definition, said, emulator)
    const origins = new Set(Object.values(emulator.endpoints).map((url) => new URL(url).origin))
    const secrets: Array<readonly [string, string]> = []
    let underWay = 0
    const watched: typeof globalThis.fetch = (input, init) => {
      const url = new URL(input instanceof Request ? input.url : input)
      if (!origins.has(url.origin)) {
        return Promise.reject(new TypeError("fetch failed", { cause: `nothing is sent to ${url.origin} in a test` }))
      }
      const sent = init?.body
      if (typeof sent === "string" || sent instanceof URLSearchParams) secrets.push(...secretsIn(String(sent)))
      underWay++
      return (emulator.fetch ?? network)(input, init)
        .then((response) =>
          response
            .clone()
            .text()
            .then(
              (text) => void secrets.push(...secretsIn(text)),
              () => undefined,
            )
            .then(() => response),
        )
        .finally(() => void underWay--)
    }
    const awaited = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
      const fiber = yield* Effect.forkChild(effect)
      const until = (yield* realTime) + patience
      while ((yield* realTime) < until) {
        yield* moment
        if (fiber.pollUnsafe() !== undefined) return yield* Fiber.join(fiber)
        if (underWay === 0) yield* TestClock.adjust("1 second")
      }
      return yield* broken(`it did not end within ${patience / 1000} s`)
    })
    const world: World = {
      emulator,
      isScripted: isScripted(emulator),
      rotate: (rotation) => (isScripted(emulator) ? emulator.rotate(rotation) : Effect.void),
      secrets: () => secrets,
      awaited,
      open: (url) => Effect.asVoid(Effect.promise(() => network(url).then((page) => page.text()))),
    }
    const host = BrokerHost.layerMemory([provider]).pipe(
      Layer.provide(
        BrokerConfig.layer("/nowhere", { refreshCooldown: Duration.zero, refreshRetryDelay: Duration.zero }),
      ),
      Layer.provide(Layer.succeed(Fetch, watched)),
    )
    yield* body(world).pipe(Effect.provide(host))
  }).pipe(
    Effect.scoped,
    Effect.provide(TestClock.layer()),
    Effect.mapError((error) =>
      error instanceof ContractBroken ? error : new ContractBroken({ detail: Cause.pretty(Cause.fail(error)) }),
    ),
    Effect.catchDefect((defect) => broken(Cause.pretty(Cause.die(defect)))),
  )

/** The provider, with the addresses of the server in the test. */
const providerAt = Effect.fnUntraced(function* (
  definition: ProviderDefinition,
  said: Schema.JsonObject,
  emulator: Emulator,
) {
  const { name } = definition
  const endpoints = Object.fromEntries(Object.entries(emulator.endpoints))
  const resolution = resolve(name, { ...Struct.omit(said, ["issuer"]), endpoints }, [
    { ...definition, record: Struct.omit(definition.record, ["issuer"]) },
  ])
  if (resolution._tag !== "Resolved") return yield* broken(`the record cannot be used: ${resolution._tag}`)
  const { dialect, record } = resolution.resolved
  const provider: Provider = {
    ...record,
    // A port that is in use may be another test's.
    redirectUris: isScripted(emulator) ? record.redirectUris.map(withoutPort) : record.redirectUris,
    name,
    secret: record.clientSecret === undefined ? Option.none() : Option.some(secret),
    ...(dialect !== undefined && { dialect }),
  }
  return provider
})

const withoutPort = (redirectUri: string) => redirectUri.replace(/^(http:\/\/[^/:]+):\d+/, "$1")

/** The host is still waiting for the person. */
class StillPending extends Data.TaggedError("StillPending")<{}> {}

const everySecond = Schedule.spaced("1 second").pipe(
  Schedule.setInputType<{ readonly _tag: string }>(),
  Schedule.while(({ input }) => input._tag === "StillPending"),
)

type Ending =
  | { readonly _tag: "Granted"; readonly token: Effect.Success<ReturnType<Broker["Service"]["getToken"]>> }
  | { readonly _tag: "Denied" }

/** A whole login, by a person who answers at once. */
const login = Effect.fnUntraced(function* (
  world: World,
  account: Account.AccountKey,
  flow: FlowType,
  will: "grant" | "deny",
) {
  const broker = yield* Broker
  const { emulator } = world
  const begun = yield* broker.initiate(account, { flow })
  if (flow === "device_code") {
    const device = Option.getOrUndefined(begun.device)
    if (device === undefined) return yield* broken("there is no code to enter")
    yield* (will === "grant" ? emulator.grantDevice : (emulator.denyDevice ?? emulator.grantDevice))(device.userCode)
  }
  const visit = will === "grant" ? emulator.grant : (emulator.deny ?? emulator.grant)
  const back = flow === "device_code" ? "" : yield* visit(begun.authUrl)
  if (flow === "browser_redirect") yield* world.open(back)
  const polled = broker.poll(begun.sessionId).pipe(
    Effect.flatMap((progress) =>
      progress.status === "complete" ? Effect.succeed(progress.token) : Effect.fail(new StillPending()),
    ),
    Effect.retry(everySecond),
  )
  const ended = Effect.gen(function* () {
    return flow === "pkce_redirect" ? yield* broker.exchange(begun.sessionId, Redacted.make(back)) : yield* polled
  })
  const outcome = yield* world.awaited(ended).pipe(
    Effect.map((token): Ending => ({ _tag: "Granted", token })),
    Effect.catchTag("AccessDenied", () => Effect.succeed<Ending>({ _tag: "Denied" })),
  )
  return { begun, outcome }
})
