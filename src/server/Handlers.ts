/**
 * What each operation does: a request in, the data of a reply out, within the rights of the peer. Knows the broker and
 * the wire, not the socket.
 */
import { Effect, Option, Redacted, Schema, type Scope } from "effect"
import { AuthEvents } from "../broker/AuthEvents.ts"
import { Broker } from "../broker/Broker.ts"
import { CurrentPeer } from "../broker/CurrentPeer.ts"
import { ProviderDefinitions } from "../providers/ProviderDefinitions.ts"
import { TokensAtHand } from "../broker/TokensAtHand.ts"
import { Usage } from "../broker/Usage.ts"
import * as Account from "../domain/AccountKey.ts"
import { ApiKeyName } from "../domain/ApiKey.ts"
import { statsOf } from "../domain/BucketUsage.ts"
import { Forbidden, InvalidRequest } from "../domain/Errors.ts"
import type { Permission, Wish } from "../domain/Grant.ts"
import { printable } from "../domain/RemoteText.ts"
import type { Revocation } from "../domain/Revocation.ts"
import { FlowType } from "../domain/Session.ts"
import { type PublicToken, Secret } from "../domain/Token.ts"
import { fingerprintOf } from "../system/Sha256.ts"
import type { JsonObject } from "./Frame.ts"
import * as Protocol from "./Protocol.ts"
import type { Rights } from "./Rights.ts"

/** What an operation does. What it leaves in the scope lives as long as the connection. */
export type Operation = (payload: unknown, rights: Rights) => Effect.Effect<JsonObject, Protocol.WireError, Scope.Scope>

/** A reply that was known before anybody asked. */
export interface AtHand {
  /** The data, as JSON. */
  readonly data: Redacted.Redacted
  readonly account: string
  readonly token: PublicToken
  /** Made when somebody first wants to know it. */
  fingerprint?: string | undefined
}

/** Answers requests; `op` is whatever the peer wrote. */
export interface Handlers {
  /** The answer, if it is known without waiting. */
  readonly atHand: (op: string, payload: JsonObject, rights: Rights) => AtHand | undefined
  readonly answer: (
    op: string,
    payload: unknown,
    rights: Rights,
  ) => Effect.Effect<JsonObject, Protocol.WireError, Scope.Scope>
}

const provider = { provider: Account.ProviderName }
const account = { ...provider, bucket: Schema.optionalKey(Account.BucketName) }
const session = { session_id: Schema.String.check(Schema.isMaxLength(128)) }

const Nothing = Schema.Struct({})
const ProviderPayload = Schema.Struct(provider)
const AccountPayload = Schema.Struct(account)
const SavePayload = Schema.Struct({ ...account, token: Schema.Unknown })
const InitiatePayload = Schema.Struct({
  ...account,
  redirect_uri: Schema.optionalKey(Schema.String),
  flow_type: Schema.optionalKey(FlowType),
})
const StatsPayload = Schema.Struct({ ...provider, bucket: Account.BucketName })
const KeyPayload = Schema.Struct({ name: ApiKeyName })
const SessionPayload = Schema.Struct(session)
const ExchangePayload = Schema.Struct({ ...session, code: Secret })

const accountOf = (payload: { readonly provider: string; readonly bucket?: string }) =>
  Account.make(payload.provider, payload.bucket)

/** An operation with such a payload. What a payload must be is said without repeating what it was. */
export const operation = <S extends Schema.ConstraintDecoder<unknown> & { readonly fields: object }>(
  name: string,
  schema: S,
  run: (payload: S["Type"], rights: Rights) => Effect.Effect<JsonObject, Protocol.WireError, Scope.Scope>,
): readonly [string, Operation] => {
  const decode = Schema.decodeUnknownOption(schema)
  const expected = Object.keys(schema.fields).join(", ")
  return [
    name,
    (payload, rights) =>
      Option.match(decode(payload), {
        onNone: () =>
          Effect.fail(
            InvalidRequest.make({ detail: `A field of ${name} is missing or mistyped. It takes: ${expected}.` }),
          ),
        onSome: (decoded) => run(decoded, rights),
      }),
  ]
}

const nothing: JsonObject = {}

const on = (permission: Permission, account: Account.AccountKey): Wish => ({ _tag: "Account", permission, account })

const { nobody } = Account
const noKey = "tokenkeep.nobody"

/** Whoever is held to a grant hears the same of what is not there and of what is not granted. */
const sameIfAbsent =
  (rights: Rights) =>
  <A, R>(answer: Effect.Effect<A, Protocol.WireError, R>): Effect.Effect<A, Protocol.WireError, R> =>
    Effect.catchTag(answer, ["TokenNotFound", "ApiKeyNotFound"], (error) =>
      Effect.fail(rights.isRestricted ? Forbidden.make({}) : error),
    )

/** Accounts that are asked for again and again, and logins in progress; of the oldest beyond these nothing is known. */
const longest = 4096

/** Where there are as many logins at one provider, no grant adds another: what is saved takes room on the disk. */
const mostBuckets = 64

/** Remembers up to a number of things. */
const remember = <K, V>(known: Map<K, V>, key: K, value: V) => {
  if (known.size >= longest)
    for (const oldest of known.keys()) {
      known.delete(oldest)
      break
    }
  known.set(key, value)
  return value
}

/** Under which an account is looked up: neither name has a line end in it. */
const nameOf = (provider: string, bucket: string) => `${provider}\n${bucket}`

/** Operations over the broker of the context, and `more` of them. */
export const make = Effect.fnUntraced(function* (more: Iterable<readonly [string, Operation]> = []) {
  const broker = yield* Broker
  const tokensAtHand = yield* TokensAtHand
  const usage = yield* Usage
  const events = yield* AuthEvents
  const definitions = yield* ProviderDefinitions

  /** What the host knows nothing of, whoever is held to a grant does not bring it. */
  const demandKnown = Effect.fnUntraced(function* ({ bucket, provider }: Account.AccountKey, rights: Rights) {
    if (!rights.isRestricted) return
    const buckets = yield* broker.listBuckets(provider)
    if (buckets.includes(bucket)) return
    const isKnown =
      buckets.length > 0 ||
      definitions.some(({ name }) => name === provider) ||
      (yield* broker.listProviders).includes(provider)
    if (!isKnown || buckets.length >= mostBuckets) return yield* Forbidden.make({})
  })

  // By provider and bucket, always the same object: what is known of an account is known of that.
  const accounts = new Map<string, Account.AccountKey>()

  const encoded = new WeakMap<PublicToken, AtHand>()
  const encode = (account: Account.AccountKey, token: PublicToken): AtHand => {
    const known = encoded.get(token)
    if (known !== undefined) return known
    const data = Redacted.make(JSON.stringify(Protocol.encodeToken(token)))
    const atHand: AtHand = { data, account: account.toString(), token, fingerprint: undefined }
    encoded.set(token, atHand)
    return atHand
  }

  // Whose login each session is: the grant may have changed since it was begun.
  interface Begun {
    readonly account: Account.AccountKey
    /** Forgets it. */
    readonly over: Effect.Effect<void>
  }
  const begun = new Map<string, Begun>()
  const mayGoOn = (sessionId: string, rights: Rights) => {
    const login = begun.get(sessionId)
    return login === undefined ? Effect.void : rights.demandStill(on("login", login.account))
  }
  const isOver = (sessionId: string) =>
    Effect.suspend(() => {
      const login = begun.get(sessionId)
      begun.delete(sessionId)
      return login === undefined ? Effect.void : login.over
    })

  const handOut = (
    permission: Permission,
    get: (account: Account.AccountKey) => Effect.Effect<PublicToken, Protocol.WireError>,
  ) =>
    operation(permission, AccountPayload, (payload, rights) => {
      const name = nameOf(payload.provider, payload.bucket ?? Account.defaultBucket)
      const account = accounts.get(name) ?? accountOf(payload)
      return rights.demand(on(permission, account)).pipe(
        Effect.tapError(() => Effect.exit(get(nobody))),
        Effect.flatMap(({ stillGood }) =>
          rights.counted(
            Effect.tap(get(account), () => stillGood),
            () => true,
          ),
        ),
        Effect.tap(() =>
          Effect.sync(() => {
            usage.count(account)
            // Names without a token are not worth it: whoever asks for many must not push out the others.
            if (!accounts.has(name)) remember(accounts, name, account)
          }),
        ),
        Effect.map(Protocol.encodeToken),
        sameIfAbsent(rights),
      )
    })

  const remove = (name: string, tell: (revocation: Revocation) => JsonObject) =>
    operation(name, AccountPayload, (payload, rights) => {
      const account = accountOf(payload)
      return rights
        .demand(on("remove_token", account))
        .pipe(Effect.andThen(broker.removeToken(account)), Effect.map(tell))
    })

  const operations = new Map<string, Operation>([
    handOut("get_token", broker.getToken),
    handOut("refresh_token", broker.refreshToken),
    operation("save_token", SavePayload, (payload, rights) =>
      Option.match(Protocol.decodeToken(payload.token), {
        onNone: () =>
          Effect.fail(
            InvalidRequest.make({
              detail: "The token must have an access_token, and an expiry in epoch seconds if it has one.",
            }),
          ),
        onSome: (token) => {
          const account = accountOf(payload)
          return rights
            .demand(on("save_token", account))
            .pipe(
              Effect.andThen(demandKnown(account, rights)),
              Effect.andThen(broker.saveToken(account, token)),
              Effect.as(nothing),
            )
        },
      }),
    ),
    remove("remove_token", () => nothing),
    remove("logout", Protocol.encodeRevocation),
    operation("list_providers", Nothing, (_, rights) =>
      Effect.map(broker.listProviders, (names) => ({ providers: names.filter(rights.seesProvider) })),
    ),
    operation("list_buckets", ProviderPayload, ({ provider }, rights) =>
      Effect.map(broker.listBuckets(provider), (buckets) => ({
        buckets: buckets.filter((bucket) => rights.sees(Account.make(provider, bucket))),
      })),
    ),
    operation("get_bucket_stats", StatsPayload, (payload, rights) => {
      const account = accountOf(payload)
      if (!rights.sees(account)) {
        return Effect.andThen(Effect.exit(broker.bucketStats(nobody)), Effect.fail(Forbidden.make({})))
      }
      return broker.bucketStats(account).pipe(
        Effect.flatMap((stats) => {
          if (!rights.isRestricted) return Effect.succeed(stats)
          // A share of everything would tell how much there is that the peer must not know of.
          const isSeen = (bucket: string) => rights.sees(Account.make(account.provider, bucket))
          return Effect.map(usage.of(account.provider), (all) => statsOf(account.bucket, all, isSeen))
        }),
        Effect.map(Protocol.encodeStats),
        sameIfAbsent(rights),
      )
    }),
    operation("get_api_key", KeyPayload, ({ name }, rights) =>
      rights.demand({ _tag: "ApiKey", name }).pipe(
        Effect.tapError(() => Effect.exit(broker.getApiKey(noKey))),
        Effect.flatMap(({ stillGood }) =>
          rights.counted(
            Effect.tap(broker.getApiKey(name), () => stillGood),
            () => true,
          ),
        ),
        Effect.map(Protocol.encodeApiKey),
        sameIfAbsent(rights),
      ),
    ),
    operation("has_api_key", KeyPayload, ({ name }, rights) => {
      const isSeen = rights.seesApiKey(name)
      return Effect.map(broker.hasApiKey(isSeen ? name : noKey), (exists) => ({ exists: exists && isSeen }))
    }),
    operation("list_api_keys", Nothing, (_, rights) =>
      Effect.map(broker.listApiKeys, (names) => ({ keys: names.filter(rights.seesApiKey) })),
    ),
    operation("oauth_initiate", InitiatePayload, (payload, rights) => {
      const account = accountOf(payload)
      return rights.demand(on("login", account)).pipe(
        Effect.andThen(
          broker.initiate(account, {
            ...(payload.redirect_uri !== undefined && { redirectUri: payload.redirect_uri }),
            ...(payload.flow_type !== undefined && { flow: payload.flow_type }),
          }),
        ),
        Effect.tap(({ sessionId }) =>
          Effect.flatMap(CurrentPeer, (peer) =>
            rights.whenOver(Effect.ignore(Effect.provideService(broker.cancel(sessionId), CurrentPeer, peer))),
          ).pipe(Effect.map(({ now }) => remember(begun, sessionId, { account, over: now }))),
        ),
        Effect.map(Protocol.encodeInitiated),
      )
    }),
    operation("oauth_exchange", ExchangePayload, ({ code, session_id }, rights) =>
      mayGoOn(session_id, rights).pipe(
        Effect.andThen(rights.counted(broker.exchange(session_id, code), () => true)),
        Effect.tap(isOver(session_id)),
        Effect.map(Protocol.encodeToken),
      ),
    ),
    operation("oauth_poll", SessionPayload, ({ session_id }, rights) =>
      mayGoOn(session_id, rights).pipe(
        Effect.andThen(rights.counted(broker.poll(session_id), ({ status }) => status === "complete")),
        Effect.tap(({ status }) => (status === "complete" ? isOver(session_id) : Effect.void)),
        Effect.map(Protocol.encodeProgress),
      ),
    ),
    operation("oauth_cancel", SessionPayload, ({ session_id }) =>
      broker.cancel(session_id).pipe(Effect.andThen(isOver(session_id)), Effect.as(nothing)),
    ),
    ...more,
  ])

  const handlers: Handlers = {
    atHand: (op, payload, rights) => {
      if (op !== "get_token") return undefined
      const { bucket = Account.defaultBucket, provider } = payload
      if (typeof provider !== "string" || typeof bucket !== "string") return undefined
      const account = accounts.get(nameOf(provider, bucket))
      if (account === undefined || !rights.mayNow(on("get_token", account))) return undefined
      const token = Option.getOrUndefined(tokensAtHand(account))
      if (token === undefined) return undefined
      usage.count(account)
      const known = encode(account, token)
      if (events.hearsTokens) {
        known.fingerprint ??= fingerprintOf(token.accessToken)
        events.publish({ _tag: "token_served", account, from: "at_hand", fingerprint: known.fingerprint })
      }
      return known
    },
    answer: (op, payload, rights) => {
      const run = operations.get(op)
      return run === undefined
        ? Effect.fail(InvalidRequest.make({ detail: `There is no operation ${printable(op)} here.` }))
        : run(payload, rights)
    },
  }
  return handlers
})
