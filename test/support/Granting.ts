/**
 * A host with grants in a temporary folder, in this process, on real sockets: its store counts what is read, its audit
 * keeps what is noted, and its provider does what it is told.
 */
import { NodeServices } from "@effect/platform-node"
import { Context, DateTime, Effect, Layer, Option, Redacted, Schema, type Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { AccountLock } from "../../src/broker/AccountLock.ts"
import { ApiKeys } from "../../src/broker/ApiKeys.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import * as BrokerHost from "../../src/broker/BrokerHost.ts"
import { Providers } from "../../src/broker/Providers.ts"
import { TokenStore } from "../../src/broker/TokenStore.ts"
import { Usage } from "../../src/broker/Usage.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type * as AuditEntry from "../../src/domain/AuditEntry.ts"
import * as Grant from "../../src/domain/Grant.ts"
import { AccountPatternFromString } from "../../src/domain/NamePattern.ts"
import { Audit } from "../../src/server/Audit.ts"
import { Grants, type NewGrant } from "../../src/server/Grants.ts"
import * as GrantsHost from "../../src/server/GrantsHost.ts"
import { PeerCredentials } from "../../src/server/PeerCredentials.ts"
import { Questions } from "../../src/server/Questions.ts"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import { recordOf } from "./Records.ts"
import * as RawPeer from "./RawPeer.ts"

export const uid = process.getuid?.() ?? -1

const patterns = Schema.decodeSync(Schema.Array(AccountPatternFromString))

interface Some extends Partial<Omit<Grant.Terms, "accounts">> {
  readonly accounts?: ReadonlyArray<string>
}

/** Tokens of `scripted:work`, for ourselves, unless something else is said. */
export const termsOf = ({ accounts = ["scripted:work"], ...terms }: Some = {}): Grant.Terms => ({
  label: "sandbox",
  keys: [],
  permissions: Grant.usualPermissions,
  approved: [],
  uids: [uid],
  ...terms,
  accounts: patterns(accounts),
})

/** A grant on a Unix socket with a capability, unless something else is said. */
export const newGrant = (terms: Some = {}, grant: Partial<Omit<NewGrant, "terms">> = {}): NewGrant => ({
  transport: "unix",
  hasCapability: true,
  isKept: false,
  ...grant,
  terms: termsOf(terms),
})

interface Options {
  readonly home: string
  /** Whether a person is asked. */
  readonly ask?: boolean
  readonly tcp?: { readonly host: string; readonly port: number }
  readonly rateLimit?: number
}

/** Starts a host with logins `scripted:work` and `scripted:other`; it ends with the scope. */
export const start = Effect.fnUntraced(function* ({ ask = false, home, rateLimit = 0, tcp }: Options) {
  const reads: Array<string> = []
  const entries: Array<AuditEntry.Entry> = []
  const store = Layer.effect(
    TokenStore,
    Effect.map(TokenStore, (real) =>
      TokenStore.of({
        ...real,
        get: (account) =>
          Effect.andThen(
            Effect.sync(() => reads.push(`get ${account}`)),
            real.get(account),
          ),
        list: Effect.andThen(
          Effect.sync(() => reads.push("list")),
          real.list,
        ),
      }),
    ),
  ).pipe(Layer.provide(TokenStore.layerMemory))
  const broker = Layer.unwrap(
    Effect.map(ScriptedProvider, ({ provider }) =>
      BrokerHost.layerOver(
        Layer.mergeAll(
          store,
          AccountLock.layerMemory,
          Providers.layerMemory([provider]),
          ApiKeys.layerMemory,
          Usage.layerMemory,
        ),
      ),
    ),
  )
  const audit = Layer.succeed(Audit, Audit.of({ record: (entry) => void entries.push(entry), mayServe: () => true }))
  const host = GrantsHost.layer({
    folder: `${home}/sandboxes`,
    uid,
    rateLimit,
    ...(tcp !== undefined && { tcp }),
  }).pipe(
    Layer.provideMerge(ask ? Questions.layer : Questions.layerOff),
    Layer.provide([audit, PeerCredentials.layer, SecureRandom.layerWebCrypto]),
    Layer.provideMerge(broker),
    Layer.provideMerge(ScriptedProvider.layer()),
    Layer.provideMerge(BrokerConfig.layer(home)),
    Layer.provideMerge(NodeServices.layer),
    Layer.fresh,
  )
  const context = yield* Layer.build(host)
  const tokens = Context.get(context, TokenStore)
  yield* tokens.set(Account.make("scripted", "work"), recordOf("work"))
  yield* tokens.set(Account.make("scripted", "other"), recordOf("other"))
  return {
    context,
    grants: Context.get(context, Grants),
    questions: Context.get(context, Questions),
    provider: Context.get(context, ScriptedProvider),
    store: tokens,
    /** What was read in the store. */
    reads,
    /** What was noted. */
    entries,
  }
})

/** Somebody who holds a grant. */
export interface Holder {
  readonly greeting: RawPeer.Reply | undefined
  /** The reply to a request, or nothing if the connection is closed first. */
  readonly ask: (op: string, payload?: unknown) => Promise<RawPeer.Reply | undefined>
  /** The code of the reply; `ok` if it is none. */
  readonly codeOf: (op: string, payload?: unknown) => Promise<unknown>
  readonly peer: RawPeer.RawPeer
}

/** Connects, and shows a capability. */
export const connect = async (address: string, capability?: string): Promise<Holder> => {
  const peer = await RawPeer.open(address)
  const payload = { minVersion: 1, maxVersion: 2, ...(capability !== undefined && { capabilityToken: capability }) }
  await peer.write(RawPeer.frameOf({ v: 1, op: "handshake", payload }))
  await RawPeer.within("an answer to the handshake", peer.count(1))
  let last = 1_000_000
  const ask = async (op: string, payload: unknown = {}) => {
    const id = String(++last)
    await peer.write(RawPeer.request(id, op, payload))
    const find = () => peer.replies.find((reply) => reply["id"] === id)
    const wait = async () => {
      while (find() === undefined && (await peer.count(peer.replies.length + 1)));
      return find()
    }
    return RawPeer.within(`an answer to ${op}`, wait(), 10_000)
  }
  return { peer, greeting: peer.replies[0], ask, codeOf: async (op, payload) => codeOf(await ask(op, payload)) }
}

/** The code of a reply; `ok` if it is none, `closed` if there is no reply. */
export const codeOf = (reply: RawPeer.Reply | undefined): unknown =>
  reply === undefined ? "closed" : reply["ok"] === true ? "ok" : reply["code"]

/** Somebody connects with a grant; gone with the scope. */
export const hold = (
  { address, capability }: { readonly address: string; readonly capability: Option.Option<Redacted.Redacted> },
  shown = Option.getOrUndefined(Option.map(capability, Redacted.value)),
): Effect.Effect<Holder, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => connect(address, shown)),
    ({ peer }) => Effect.sync(peer.leave),
  )

/** So many milliseconds from now. */
export const inMillis = (milliseconds: number) => Effect.map(DateTime.now, DateTime.add({ milliseconds }))

export const work = { provider: "scripted", bucket: "work" }
export const other = { provider: "scripted", bucket: "other" }
