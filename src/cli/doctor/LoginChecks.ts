/**
 * The logins: which of them need somebody, and whether another program has the refresh token of one, too.
 */
import { Effect, Option, type Redacted } from "effect"
import { AccountLock } from "../../broker/AccountLock.ts"
import * as AccountLockFile from "../../broker/AccountLockFile.ts"
import { Accounts } from "../../broker/Accounts.ts"
import { BrokerConfig } from "../../broker/BrokerConfig.ts"
import { TokenStore } from "../../broker/TokenStore.ts"
import type { AccountKey } from "../../domain/AccountKey.ts"
import { isAnswerTo } from "../../domain/AccountRecord.ts"
import { loginCommand } from "../../domain/LoginCommand.ts"
import { oneLine, printable } from "../../domain/RemoteText.ts"
import { type FoundLogin, Search, sharers } from "../../import/Search.ts"
import * as FileName from "../../system/FileName.ts"
import { fingerprintOf } from "../../system/Sha256.ts"
import { LoginStatus } from "../status/LoginStatus.ts"
import { quoted } from "../NextCommand.ts"
import { atMost, type Finding, orOk, problem, warning } from "./Finding.ts"
import type { MakeLock } from "./MachineChecks.ts"

/** As files have them, where the kernel locks anything; nothing is changed under a lock here. */
export const lockLayer = Effect.fnUntraced(function* (make: MakeLock) {
  const made = yield* Effect.exit(make)
  return made._tag === "Success" ? AccountLockFile.layer : AccountLock.layerMemory
})

/** Logins whose lost answer is whole in a file that a killed process has left: the next use puts it in its place. */
const recoverable = Effect.fnUntraced(function* (account: AccountKey) {
  const accounts = yield* Accounts
  const store = yield* TokenStore
  return yield* Effect.gen(function* () {
    const current = yield* accounts.get(account)
    if (Option.isNone(current)) return false
    const written = yield* store.interrupted(account)
    return written.some((record) => isAnswerTo(current.value, record))
  }).pipe(Effect.orElseSucceed(() => false))
})

/** What there is of logins, and the files that one of them may yet be saved by. */
export const logins = Effect.gen(function* () {
  const { list } = yield* LoginStatus
  const states = yield* Effect.result(list)
  if (states._tag === "Failure") {
    return { findings: [problem("logins", states.failure.message)], saving: [] }
  }
  const saving: Array<AccountKey> = []
  const found: Array<Finding> = []
  for (const { account, needsAttention, next, problem: what, state } of states.success) {
    if (!needsAttention) continue
    const name = printable(account.toString())
    const said = Option.getOrElse(what, () => state)
    if (state === "suspect" && (yield* recoverable(account))) {
      saving.push(account)
      found.push(
        warning(
          "logins",
          `${name}: the process that refreshed it was killed before it could save the answer, which is whole in a file beside it. The next use puts it in its place.`,
          `tokenkeep token ${quoted(account.toString())} > /dev/null`,
        ),
      )
    } else {
      const level = state === "newer" ? warning : problem
      found.push(level("logins", `${name} is ${state}. ${said}`, Option.getOrUndefined(next)))
    }
  }
  const count = states.success.length
  return {
    findings: orOk(
      atMost(found),
      "logins",
      count === 0 ? "none yet; log in with: tokenkeep login PROVIDER" : `${count}, all readable and in order`,
    ),
    saving,
  }
})

/** Whether a file is one that an account may yet be saved by. */
export const savingFiles = Effect.fnUntraced(function* (saving: ReadonlyArray<AccountKey>) {
  const { accountsDirectory } = yield* BrokerConfig
  const beginnings = yield* Effect.forEach(saving, ({ bucket, provider }) =>
    Effect.map(
      Effect.all([FileName.encode(provider), FileName.encode(bucket)]),
      ([folder, file]) => `${accountsDirectory}/${folder}/${file}.json.`,
    ),
  )
  return (path: string): boolean => beginnings.some((beginning) => path.startsWith(beginning))
})

const adoptCommand = (login: FoundLogin, account: AccountKey): string => {
  const name = quoted(`${login.tool.name}:${login.account}`)
  const isSuggested = Option.exists(login.suggestion, (suggested) => suggested.toString() === account.toString())
  return `tokenkeep import ${name} --adopt --replace${isSuggested ? "" : ` --as ${quoted(account.toString())}`}`
}

/** Other tools with the refresh token of one of our logins, which is good once: the first to use it ends both. */
export const copies = Effect.gen(function* () {
  const store = yield* TokenStore
  const search = yield* Search
  const accounts = yield* Effect.orElseSucceed(store.list, (): ReadonlyArray<AccountKey> => [])
  const ours = new Map<string, AccountKey>()
  const note = (account: AccountKey, token: Redacted.Redacted | undefined) => {
    if (token !== undefined) ours.set(fingerprintOf(token), account)
  }
  for (const account of accounts) {
    // What cannot be read is said where the logins are.
    const record = yield* Effect.orElseSucceed(store.get(account), () => Option.none())
    note(account, Option.getOrUndefined(record)?.token.refreshToken)
  }
  if (ours.size === 0) return []
  const { logins } = yield* search.find
  return logins.flatMap((login): ReadonlyArray<Finding> => {
    const token = login.content._tag === "Token" ? login.content.token.refreshToken : undefined
    const account = token === undefined ? undefined : ours.get(fingerprintOf(token))
    if (account === undefined || !login.rotates) return []
    const canAdopt = login.tool.shape !== undefined && sharers(login, logins).length === 0
    return [
      problem(
        "copies",
        `${login.tool.title} has the refresh token of ${printable(account.toString())} too, in ${oneLine(login.path)}. It is good once: the first of the two that uses it logs the other out. ${
          canAdopt
            ? "Move it here, which leaves the tool an access token:"
            : "A login of its own for tokenkeep ends that:"
        }`,
        canAdopt ? adoptCommand(login, account) : loginCommand(account),
      ),
    ]
  })
})

/** The providers of the logins that there are. */
export const providersInUse = Effect.gen(function* () {
  const store = yield* TokenStore
  const accounts = yield* Effect.orElseSucceed(store.list, (): ReadonlyArray<AccountKey> => [])
  return [...new Set(accounts.map(({ provider }) => provider))]
})
