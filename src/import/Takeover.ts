/**
 * Takes the logins of other tools over, and gives them back.
 *
 * A refresh token that is good once must not have two owners, so an adopted one is taken out of the tool's file. At no moment
 * is it nowhere: it is saved here before it is taken out there, and put back there before it is forgotten here. Whoever is
 * killed in between does it again. All of it is done while holding the account's `refresh` lock.
 */
import { Context, Data, DateTime, Effect, Layer, Option, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { Hex } from "effect/encoding"
import { ChildProcessSpawner } from "effect/process"
import { AccountLock } from "../broker/AccountLock.ts"
import { Accounts } from "../broker/Accounts.ts"
import { AuthEvents } from "../broker/AuthEvents.ts"
import { type ConfigError, Providers } from "../broker/Providers.ts"
import type { StoreError } from "../broker/TokenStore.ts"
import type { AccountKey } from "../domain/AccountKey.ts"
import * as AccountRecord from "../domain/AccountRecord.ts"
import type { LockBusy, ProviderNotConfigured } from "../domain/Errors.ts"
import { loginCommand } from "../domain/LoginCommand.ts"
import { oneLine, printable } from "../domain/RemoteText.ts"
import type { StoredToken } from "../domain/Token.ts"
import { granterOf } from "../oauth/Provider.ts"
import { ProviderDefinitions } from "../providers/ProviderDefinitions.ts"
import { fingerprintOf } from "../system/Sha256.ts"
import { Adoptions, type Adoption, accountOf, changesFor, isOf, mark } from "./Adoptions.ts"
import * as AskProgram from "./AskProgram.ts"
import * as JsonText from "./JsonText.ts"
import type { FoundLogin } from "./Search.ts"
import type { Shape } from "./Tool.ts"
import * as ToolFile from "./ToolFile.ts"
import { toolCalled } from "./Tools.ts"

/** There is nothing to take over, or it must not be. Nothing was changed. */
export class ImportRefused extends Data.TaggedError("ImportRefused")<{ readonly detail: string }> {
  override get message(): string {
    return this.detail
  }
}

/** The account has a login already. */
export class AccountExists extends Data.TaggedError("AccountExists")<{ readonly account: AccountKey }> {
  override get message(): string {
    return `Somebody is logged in as ${printable(this.account.toString())} here already. Nothing was changed; add --replace, or name another account with --as.`
  }
}

export type TakeoverError =
  | ImportRefused
  | AccountExists
  | AskProgram.NotTold
  | ToolFile.FileTrouble
  | ToolFile.FileChanged
  | ProviderNotConfigured
  | ConfigError
  | StoreError
  | LockBusy

/** What became of a login that was given back. */
export type Returned =
  /** The tool has it again, and we no longer. `isSpent` if its refresh token may have been used up. */
  | { readonly _tag: "Returned"; readonly isSpent: boolean }
  /** The tool has a login of its own; ours stays. */
  | { readonly _tag: "KeptApart" }
  /** We have nothing to give back. */
  | { readonly _tag: "NothingHere" }

export class Takeover extends Context.Service<
  Takeover,
  {
    /** Keeps a copy of a login here. */
    readonly take: (
      login: FoundLogin,
      account: AccountKey,
      replace: boolean,
    ) => Effect.Effect<StoredToken, TakeoverError>
    /** Moves a login here, and leaves its tool the access token. */
    readonly adopt: (
      login: FoundLogin,
      account: AccountKey,
      replace: boolean,
    ) => Effect.Effect<StoredToken, TakeoverError>
    /** Gives an adopted login back to its tool. */
    readonly undo: (account: AccountKey) => Effect.Effect<Returned, TakeoverError>
    /** Brings to an end what was begun and not finished, and writes what the tools have not got yet. */
    readonly settle: Effect.Effect<void, TakeoverError>
  }
>()("tokenkeep/import/Takeover") {
  static readonly layerNoDeps = Layer.effect(
    this,
    Effect.gen(function* () {
      const accounts = yield* Accounts
      const lock = yield* AccountLock
      const adoptions = yield* Adoptions
      const events = yield* AuthEvents
      const providers = yield* Providers
      const definitions = yield* ProviderDefinitions
      const files = yield* ToolFile.make
      const random = yield* SecureRandom.SecureRandom
      const digest = yield* Digest.Digest
      const spawner = yield* ChildProcessSpawner.ChildProcessSpawner

      /** Who gave the token, by the provider's record; a refresh token is good for one client only. */
      const granterFor = Effect.fnUntraced(function* (login: FoundLogin, account: AccountKey) {
        const record = yield* providers.record(account.provider)
        const builtIn = Option.map(login.suggestion, ({ provider }) => provider)
        const clientId = definitions.find(({ name }) => Option.contains(builtIn, name))?.record.clientId
        if (clientId !== undefined && clientId !== record.clientId) {
          return yield* new ImportRefused({
            detail: `The provider ${printable(account.provider)} is configured with another client than that of ${login.tool.title}, which alone can use its refresh token. Nothing was changed; log in anew with: ${loginCommand(account)}`,
          })
        }
        return granterOf(record)
      })

      /** The one place where a login of another tool becomes one of ours. */
      const keepHere = Effect.fnUntraced(function* (
        { tool }: FoundLogin,
        account: AccountKey,
        token: StoredToken,
        granter: AccountRecord.Granter | undefined,
        mayReplace: (current: AccountRecord.AccountRecord) => Effect.Effect<boolean>,
      ) {
        const now = yield* DateTime.now
        yield* accounts.update(account, (current) =>
          Effect.gen(function* () {
            if (Option.isSome(current) && !(yield* mayReplace(current.value))) {
              return yield* new AccountExists({ account })
            }
            return AccountRecord.fromLogin(token, now, granter)
          }),
        )
        events.publish({ _tag: "import", account, source: tool.name, fingerprint: fingerprintOf(token.accessToken) })
      })

      /** An adoption that is not over must not lose what it has adopted. */
      const refuseOther = Effect.fnUntraced(function* (account: AccountKey, login?: FoundLogin) {
        const adoption = yield* adoptions.get(account)
        if (Option.isNone(adoption) || adoption.value.ended !== undefined) return Option.none<Adoption>()
        const { entry, path, tool } = adoption.value
        if (login !== undefined && login.path === path && login.entry === entry) return adoption
        return yield* new ImportRefused({
          detail: `${printable(account.toString())} was adopted from ${oneLine(path)}. Nothing was changed; give it back first with: tokenkeep import --undo ${tool}`,
        })
      })

      /** What the file says at this moment. */
      const readAgain = Effect.fnUntraced(function* (login: FoundLogin) {
        const file = yield* files.read(login.path)
        const text = Option.getOrElse(
          Option.map(file, (content) => content.text),
          () => "",
        )
        const entries = Option.getOrElse(login.read(text), () => [])
        const content = entries.find(({ entry }) => entry === login.entry)?.content
        if (content?._tag !== "Token" || content.token.refreshToken === undefined) {
          return yield* new ImportRefused({
            detail: `${oneLine(login.path)} has no refresh token of that login${content?._tag === "Dead" ? `: ${content.why}` : ""}. Nothing was changed; see tokenkeep import`,
          })
        }
        if (Option.exists(file, ({ names }) => names > 1)) {
          return yield* new ImportRefused({
            detail: `${oneLine(login.path)} has another name (it is a hard link), under which the refresh token would stay. Nothing was changed; make it a file of its own first: cp -p it, and mv the copy over it.`,
          })
        }
        return { text, token: content.token, refreshToken: content.token.refreshToken }
      })

      const markOf = Effect.map(random.randomBytes(16), Hex.encode)

      const adoptOnce = Effect.fnUntraced(function* (
        login: FoundLogin,
        account: AccountKey,
        shape: Shape,
        granter: AccountRecord.Granter,
        replace: boolean,
      ) {
        const before = yield* accounts.recover(account)
        const known = yield* refuseOther(account, login)
        if (Option.isSome(known) && known.value.returning === undefined && Option.isSome(before)) {
          const found = yield* adoptions.feed(known.value, before.value)
          const isDone = found === "fed" || (found === "untouched" && isOf(known.value, before.value))
          if (isDone) return before.value.token
        }
        const { refreshToken, text, token } = yield* readAgain(login)
        const id = yield* markOf
        const taken = yield* adoptions.hashOf(refreshToken)
        const latest = Option.getOrUndefined(
          yield* Effect.orElseSucceed(adoptions.get(account), () => Option.none<Adoption>()),
        )
        // What was taken from the same place and never used here is not somebody's login: what is there now is newer.
        const mayReplace = Effect.fnUntraced(function* (current: AccountRecord.AccountRecord) {
          if (replace) return true
          const { refreshToken } = current.token
          const isSame = latest !== undefined && latest.path === login.path && latest.entry === login.entry
          if (!isSame || refreshToken === undefined || !isOf(latest, current)) return false
          return (yield* adoptions.hashOf(refreshToken)) === latest.taken
        })
        if (Option.isSome(before) && !(yield* mayReplace(before.value))) return yield* new AccountExists({ account })
        yield* adoptions.keepOriginal(account, text)
        const adoption: Adoption = {
          version: 1,
          id,
          provider: account.provider,
          bucket: account.bucket,
          tool: login.tool.name,
          account: login.account,
          entry: login.entry,
          path: login.path,
          taken,
          written: [yield* adoptions.hashOf(token.accessToken)],
        }
        yield* adoptions.set(adoption)
        yield* keepHere(login, account, marked(token, id), granter, mayReplace)
        const emptied = JsonText.withValue(text, shape.refreshToken, "")
        yield* Effect.gen(function* () {
          if (Option.isNone(emptied)) return yield* new ToolFile.FileTrouble({ path: login.path, operation: "write" })
          return yield* files.replace(login.path, Option.some(text), emptied.value)
        }).pipe(
          // Nobody but us can have used it: we hold the lock.
          Effect.tapError(() =>
            Effect.andThen(
              Option.match(before, {
                onNone: () => accounts.remove(account),
                onSome: (record) => accounts.update(account, () => Effect.succeed(record)),
              }),
              adoptions.remove(account),
            ),
          ),
        )
        return token
      })

      const undoOnce = Effect.fnUntraced(function* (account: AccountKey): Effect.fn.Return<Returned, TakeoverError> {
        const found = yield* adoptions.get(account)
        if (Option.isNone(found)) {
          return yield* new ImportRefused({
            detail: `${printable(account.toString())} was not adopted from another tool. Nothing was changed.`,
          })
        }
        const adoption = found.value
        const shape = toolCalled(adoption.tool)?.shape?.(adoption.entry)
        if (shape === undefined) {
          return yield* new ImportRefused({
            detail: `${printable(account.toString())} was adopted by another version of tokenkeep. Nothing was changed; undo it with that one.`,
          })
        }
        const current = yield* accounts.recover(account)
        const file = yield* files.read(adoption.path)
        const standing = yield* adoptions.standing(adoption, shape, file)
        if (standing === "damaged") {
          return yield* new ImportRefused({
            detail: `${oneLine(adoption.path)} is damaged, so the login cannot be given back. It was left as it is, and the login is kept here.`,
          })
        }
        const forget = adoptions.remove(account)
        const ours = Option.getOrUndefined(current)
        const refreshToken = ours?.token.refreshToken
        if (ours === undefined || refreshToken === undefined) {
          yield* forget
          return standing === "returned" ? { _tag: "Returned", isSpent: false } : { _tag: "NothingHere" }
        }
        const hash = yield* adoptions.hashOf(refreshToken)
        const isSpent = ours.history.standing._tag !== "Good"
        const finish = Effect.gen(function* () {
          yield* accounts.remove(account)
          yield* files.tidy(adoption.path)
          yield* forget
          return { _tag: "Returned", isSpent } as const
        })
        // They got it back before whoever gave it was killed, or had it all the time, and have used it since: theirs is newer.
        const isTheirs = adoption.returning === hash || (adoption.taken === hash && isOf(adoption, ours))
        if (standing === "anew" && isTheirs) return yield* finish
        const isApart =
          standing === "anew" || standing === "other" || (standing === "untouched" && !isOf(adoption, ours))
        if (isApart) {
          yield* forget
          return { _tag: "KeptApart" }
        }
        const restored = yield* textWith(adoption, shape, file, ours.token, Redacted.value(refreshToken))
        yield* adoptions.set({ ...adoption, returning: hash })
        yield* files.replace(
          adoption.path,
          Option.map(file, ({ text }) => text),
          restored,
        )
        return yield* finish
      })

      /** The file's text with our login in it; what is missing is taken from what it was before. */
      const textWith = Effect.fnUntraced(function* (
        adoption: Adoption,
        shape: Shape,
        file: Option.Option<ToolFile.Content>,
        token: StoredToken,
        refreshToken: string,
      ) {
        const changes = changesFor(shape, token, refreshToken, yield* DateTime.now)
        const now = Option.map(file, ({ text }) => text)
        const direct = Option.flatMap(now, (text) => JsonText.withValues(text, changes))
        if (Option.isSome(direct)) return direct.value
        const original = yield* adoptions.original(accountOf(adoption))
        const root = shape.refreshToken.slice(0, 1)
        const rebuilt = Option.isNone(now)
          ? original
          : Option.flatMap(original, (text) =>
              JsonText.textAt(text, root).pipe(Option.flatMap((value) => JsonText.withText(now.value, root, value))),
            )
        const text = Option.flatMap(rebuilt, (text) => JsonText.withValues(text, changes))
        if (Option.isSome(text)) return text.value
        return yield* new ImportRefused({
          detail: `${oneLine(adoption.path)} is not as it was, so the login cannot be put back into it. Nothing was changed; the login is kept here.`,
        })
      })

      return Takeover.of({
        take: Effect.fn("Takeover.take")(
          function* (login, account, replace) {
            yield* refuseOther(account)
            const content =
              login.content._tag === "Elsewhere" && login.content.ask !== undefined
                ? yield* AskProgram.contentFor(login.content.ask)
                : login.content
            const token = yield* present(login, account, content)
            if (token.refreshToken !== undefined) yield* granterFor(login, account)
            // Without a granter: a logout here must not end the login of the tool, which has the same token.
            yield* keepHere(login, account, token, undefined, () => Effect.succeed(replace))
            return token
          },
          Effect.provideService(Digest.Digest, digest),
          Effect.provideService(ChildProcessSpawner.ChildProcessSpawner, spawner),
        ),

        adopt: Effect.fn("Takeover.adopt")(function* (login, account, replace) {
          const shape = login.tool.shape?.(login.entry)
          if (shape === undefined) {
            return yield* new ImportRefused({
              detail: `${login.tool.title} does not put up with a login without a refresh token, so its login cannot be adopted. Nothing was changed; log in anew with: ${loginCommand(account)}`,
            })
          }
          if (login.content._tag === "Elsewhere") {
            return yield* new ImportRefused({
              detail: `The login of ${login.tool.title} is ${login.content.where}, where it cannot be adopted. Nothing was changed; log in anew with: ${loginCommand(account)}`,
            })
          }
          const granter = yield* granterFor(login, account)
          return yield* adoptOnce(login, account, shape, granter, replace).pipe(
            Effect.retry({ times: 2, while: ({ _tag }) => _tag === "FileChanged" }),
            Effect.uninterruptible,
            lock.withLock(account, "refresh"),
          )
        }),

        undo: Effect.fn("Takeover.undo")(function* (account) {
          return yield* undoOnce(account).pipe(
            Effect.retry({ times: 2, while: ({ _tag }) => _tag === "FileChanged" }),
            Effect.uninterruptible,
            lock.withLock(account, "refresh"),
          )
        }),

        settle: Effect.gen(function* () {
          for (const listed of yield* adoptions.list) {
            const account = accountOf(listed)
            if (listed.ended !== undefined) continue
            yield* Effect.gen(function* () {
              // It may have been given back while the lock was waited for.
              const found = yield* adoptions.get(account)
              if (Option.isNone(found) || found.value.ended !== undefined) return
              const adoption = found.value
              if (adoption.returning !== undefined) {
                return yield* Effect.logWarning(
                  `${printable(account.toString())} was being given back when a process ended. Bring it to an end with: tokenkeep import --undo ${adoption.tool}`,
                )
              }
              const record = yield* accounts.get(account)
              const shape = toolCalled(adoption.tool)?.shape?.(adoption.entry)
              if (shape === undefined) return
              const standing = Option.isSome(record)
                ? yield* adoptions.feed(adoption, record.value)
                : yield* adoptions.standing(adoption, shape, yield* files.read(adoption.path))
              const isMoved = standing !== "untouched" || Option.exists(record, (ours) => isOf(adoption, ours))
              // It was begun, and nothing was moved.
              if (!isMoved) return yield* adoptions.remove(account)
              if (Option.isNone(record)) yield* adoptions.end(adoption, "the login was forgotten here")
            }).pipe(
              lock.withLock(account, "refresh"),
              Effect.catch((error) => Effect.logWarning(error.message)),
            )
          }
        }).pipe(Effect.withSpan("Takeover.settle")),
      })
    }),
  )

  static readonly layer = this.layerNoDeps.pipe(
    Layer.provide([Adoptions.layer, SecureRandom.layerWebCrypto, Digest.layerWebCrypto]),
  )
}

const marked = (token: StoredToken, id: string): StoredToken => ({
  ...token,
  extras: Redacted.make({ ...Redacted.value(token.extras), [mark]: id }),
})

const present = (login: FoundLogin, account: AccountKey, content: FoundLogin["content"]) =>
  content._tag === "Token"
    ? Effect.succeed(content.token)
    : new ImportRefused({
        detail: `There is nothing to take over of ${login.tool.title}: ${content._tag === "Dead" ? content.why : `the login is ${content.where}`}. Nothing was changed; log in anew with: ${loginCommand(account)}`,
      })
