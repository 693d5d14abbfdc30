/**
 * Processes that take the logins of other tools over, in a home with the files of a test; they can be killed at any step.
 */
import { readFileSync, mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { DateTime, Effect, Exit, FileSystem, Layer, Option, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { AccountLock } from "../../src/broker/AccountLock.ts"
import { Accounts } from "../../src/broker/Accounts.ts"
import { BrokerConfig } from "../../src/broker/BrokerConfig.ts"
import { Providers } from "../../src/broker/Providers.ts"
import * as TokenStoreFile from "../../src/broker/TokenStoreFile.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import type { AccountKey } from "../../src/domain/AccountKey.ts"
import * as AccountRecord from "../../src/domain/AccountRecord.ts"
import { Adoptions } from "../../src/import/Adoptions.ts"
import { Machine } from "../../src/import/Machine.ts"
import { Search } from "../../src/import/Search.ts"
import { Takeover } from "../../src/import/Takeover.ts"
import type { Provider } from "../../src/oauth/Provider.ts"
import { builtIn } from "../../src/providers/BuiltIn.ts"

export const providerOf = (
  name: string,
  clientId = builtIn.find((known) => known.name === name)?.record.clientId ?? "c",
): Provider => ({
  name,
  endpoints: { authorization: "https://id.example/a", token: "https://id.example/t" },
  clientId,
  scopes: [],
  flows: ["pkce_redirect"],
  redirectUris: [],
  publicFields: [],
  secret: Option.none(),
})

/**
 * A file system that ends the process at a step that changes something, and does nothing after it; or has somebody else do
 * something at that step.
 */
const mortal = (
  fs: FileSystem.FileSystem,
  killAt: number,
  instead: (() => void) | undefined,
  unopened: string | undefined,
) => {
  let steps = 0
  const step = Effect.suspend(() => {
    const isNow = instead === undefined ? steps >= killAt : steps === killAt
    steps++
    if (!isNow) return Effect.void
    return instead === undefined ? Effect.die("killed") : Effect.sync(instead)
  })
  return FileSystem.FileSystem.of({
    ...fs,
    open: (path, options) =>
      path === unopened
        ? fs.open(`${path}/is not there`, { flag: "r" })
        : options?.flag === "r"
          ? fs.open(path, options)
          : Effect.andThen(step, fs.open(path, options)),
    // Between a last look and this nobody else can be kept from writing.
    rename: (from, to) => (instead === undefined ? Effect.andThen(step, fs.rename(from, to)) : fs.rename(from, to)),
    remove: (path, options) => Effect.andThen(step, fs.remove(path, options)),
    chmod: (path, mode) => Effect.andThen(step, fs.chmod(path, mode)),
    makeDirectory: (path, options) => Effect.andThen(step, fs.makeDirectory(path, options)),
  })
}

/** A process; it is killed before the step with this number, if it takes so many. */
export const processIn = (
  home: string,
  options: {
    readonly killAt?: number
    readonly instead?: () => void
    readonly providers?: ReadonlyArray<Provider>
    /** A folder that can be written to, and not opened. */
    readonly unopened?: string
    /** What happens before each waiting for a lock. */
    readonly beforeLock?: () => void
  } = {},
) => {
  const { killAt = Infinity, providers = [providerOf("anthropic"), providerOf("codex"), providerOf("github")] } =
    options
  const system = Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => mortal(fs, killAt, options.instead, options.unopened)),
  ).pipe(Layer.provideMerge(NodeServices.layer))
  const machine = Layer.succeed(
    Machine,
    Machine.of({ platform: "linux", home, userName: "octo", uid: process.getuid?.() ?? -1, variables: {} }),
  )
  const locks = Layer.effect(
    AccountLock,
    Effect.map(AccountLock, (lock) =>
      AccountLock.of({
        ...lock,
        withLock: (account, purpose) => (work) =>
          Effect.andThen(Effect.sync(options.beforeLock ?? (() => {})), lock.withLock(account, purpose)(work)),
      }),
    ),
  ).pipe(Layer.provide(AccountLock.layerMemory))
  return Layer.mergeAll(Takeover.layer, Search.layerNoDeps, Adoptions.layer).pipe(
    Layer.provideMerge(Accounts.layer),
    Layer.provideMerge(Adoptions.layerFeeding),
    Layer.provideMerge(Layer.mergeAll(TokenStoreFile.layer, locks, Providers.layerMemory(providers), machine)),
    Layer.provideMerge(BrokerConfig.layer(`${home}/tk`)),
    Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
    Layer.provideMerge(system),
    Layer.fresh,
  )
}

export const place = (home: string, path: string, text: string) =>
  Effect.sync(() => {
    mkdirSync(dirname(`${home}/${path}`), { recursive: true })
    writeFileSync(`${home}/${path}`, text, { mode: 0o600 })
    return `${home}/${path}`
  })

export const golden = (name: string) =>
  readFileSync(new URL(`../import/golden/${name}.golden`, import.meta.url), "utf8")

export const anthropicAccount = Account.make("anthropic")

const found = Effect.fnUntraced(function* (tool: string, account?: string) {
  const { logins } = yield* Effect.flatMap(Search, ({ find }) => find)
  const login = logins.find((one) => one.tool.name === tool && (account === undefined || one.account === account))
  return login ?? (yield* Effect.die(`there is no login of ${tool}`))
})

/** What `tokenkeep import TOOL --adopt` does. */
export const adopt = (tool: string, account: AccountKey = anthropicAccount, entry?: string, replace = false) =>
  Effect.gen(function* () {
    const takeover = yield* Takeover
    yield* takeover.settle
    const known = yield* Effect.flatMap(Adoptions, ({ get }) => get(account))
    if (Option.exists(known, ({ ended, returning }) => ended === undefined && returning === undefined)) return
    yield* takeover.adopt(yield* found(tool, entry), account, replace)
  })

export const take = (tool: string, account: AccountKey, replace = false) =>
  Effect.gen(function* () {
    return yield* (yield* Takeover).take(yield* found(tool), account, replace)
  })

export const undo = (account: AccountKey = anthropicAccount) =>
  Effect.flatMap(Takeover, (takeover) => takeover.undo(account))

/** What a refresh brings: `access-NAME` and `refresh-NAME`. */
export const refreshed = (name: string, account: AccountKey = anthropicAccount) =>
  Effect.gen(function* () {
    const accounts = yield* Accounts
    const sent = Option.getOrThrow(yield* accounts.get(account))
    const answer = {
      accessToken: Redacted.make(`access-${name}`),
      refreshToken: Redacted.make(`refresh-${name}`),
      expiresAt: DateTime.makeUnsafe("2031-01-01T00:00:00Z"),
    }
    yield* accounts.keep(account, sent, (record) =>
      AccountRecord.withRefreshed(record, answer, DateTime.makeUnsafe("2030-12-31T16:00:00Z")),
    )
  })

/** The refresh token that is here. */
export const ours = (home: string, account: AccountKey = anthropicAccount) =>
  Effect.gen(function* () {
    const record = yield* Effect.flatMap(Accounts, ({ get }) => get(account))
    const token = Option.getOrUndefined(record)?.token.refreshToken
    return token === undefined ? undefined : Redacted.value(token)
  }).pipe(Effect.provide(processIn(home)))

/** Whether the process lived. */
export const isAlive = <A, E>(exit: Exit.Exit<A, E>) => Exit.isSuccess(exit)
