/**
 * The accounts' records as the rest of the broker sees them: changed by one at a time, and, when a refresh has brought a
 * token that the store does not take, kept here and served from here until it does.
 */
import {
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Layer,
  MutableHashMap,
  Option,
  type PubSub,
  Result,
  Schedule,
  Schema,
  type Scope,
} from "effect"
import { AccountKey } from "../domain/AccountKey.ts"
import { type AccountRecord, isAnswerTo, isSameLogin } from "../domain/AccountRecord.ts"
import { type LockBusy, StoreUnavailable } from "../domain/Errors.ts"
import { loginCommand } from "../domain/LoginCommand.ts"
import { printable } from "../domain/RemoteText.ts"
import { AccountLock } from "./AccountLock.ts"
import { Adopted } from "./Adopted.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import { type StoreError, TokenStore } from "./TokenStore.ts"

/** What became of a token that a refresh brought. */
export type Kept =
  | { readonly _tag: "Kept"; readonly record: AccountRecord }
  /** Somebody logged out meanwhile. */
  | { readonly _tag: "LoggedOut" }
  /** Somebody logged in anew meanwhile. */
  | { readonly _tag: "LoggedIn"; readonly record: AccountRecord }

/** The program ends, and these logins have a refresh token that is nowhere but in its memory. */
export class LoginsLost extends Schema.TaggedError<LoginsLost>()("LoginsLost", { accounts: Schema.Array(AccountKey) }) {
  override get message(): string {
    const names = this.accounts.map((account) => printable(account.toString())).join(", ")
    const commands = this.accounts.map(loginCommand).join("; ")
    return `The refreshed token of ${names} could not be saved, and is lost with the end of this program. Mend the store, then log in again with: ${commands}`
  }
}

/** How often to try to save what could not be saved: the disk may be freed at any time. */
const saving = Schedule.exponential("1 second").pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(30)))),
)

/** Reads and changes records. */
export class Accounts extends Context.Service<
  Accounts,
  {
    /** The record, or none if nobody is logged in. */
    readonly get: (account: AccountKey) => Effect.Effect<Option.Option<AccountRecord>, StoreError>
    /** As {@link TokenStore.glance}; none while the account's token is in memory only. */
    readonly glance: (account: AccountKey) => Option.Option<AccountRecord>
    /** As {@link TokenStore.replaceable}. */
    readonly replaceable: (account: AccountKey) => Effect.Effect<void, StoreError>
    /** The accounts that have a record, damaged ones included. */
    readonly list: Effect.Effect<ReadonlyArray<AccountKey>, StoreError>
    /** As {@link TokenStore.changes}. */
    readonly changes: Effect.Effect<PubSub.Subscription<AccountKey>, never, Scope.Scope>
    /** Replaces a record by what `change` makes of it, while nobody else changes it. Returns what is there then. */
    readonly update: <E>(
      account: AccountKey,
      change: (current: Option.Option<AccountRecord>) => Effect.Effect<AccountRecord, E>,
    ) => Effect.Effect<AccountRecord, E | StoreError | LockBusy>
    /**
     * Keeps what a refresh of `sent` brought; the provider will not give it twice, so this does not fail. What cannot be
     * saved is kept in memory and tried again.
     */
    readonly keep: (
      account: AccountKey,
      sent: AccountRecord,
      change: (current: AccountRecord) => AccountRecord,
    ) => Effect.Effect<Kept>
    /**
     * Finds what a process had brought and was about to save when it died over a refresh: then its answer is not lost. The
     * `refresh` lock must be held. Returns what is there then.
     */
    readonly recover: (account: AccountKey) => Effect.Effect<Option.Option<AccountRecord>, StoreError | LockBusy>
    /** Forgets a record. It is fine if there is none. */
    readonly remove: (account: AccountKey) => Effect.Effect<void, StoreError | LockBusy>
    /** Why the account's token is in memory only, if it is. */
    readonly unsaved: (account: AccountKey) => Effect.Effect<Option.Option<StoreError | LockBusy>>
    /** Waits until the account's token is not in memory only. */
    readonly saved: (account: AccountKey) => Effect.Effect<void>
  }
>()("tokenkeep/broker/Accounts") {
  /** Over the store. When its scope closes while a token is unsaved, that is a defect of the program: {@link LoginsLost}. */
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const { accountsDirectory } = yield* BrokerConfig
      const store = yield* TokenStore
      const lock = yield* AccountLock
      const adopted = yield* Adopted
      const scope = yield* Effect.scope

      interface Unsaved {
        readonly sent: AccountRecord
        readonly record: AccountRecord
        readonly why: StoreError | LockBusy
        /** Done when it is saved, or no longer wanted. */
        readonly over: Deferred.Deferred<void>
      }
      const unsaved = MutableHashMap.empty<AccountKey, Unsaved>()

      /**
       * What is in the store, while a refresh is under way. A logout leaves that refresh its lock; where the lock is not
       * held, nothing is there because the whole folder is not.
       */
      const stillThere = Effect.fnUntraced(function* (
        account: AccountKey,
        read: Effect.Effect<Option.Option<AccountRecord>, StoreError>,
      ) {
        const found = yield* read
        if (Option.isNone(found) && !(yield* lock.isHeld(account, "refresh"))) {
          return yield* StoreUnavailable.make({ path: accountsDirectory, operation: "read" })
        }
        return found
      })

      /** What is true of an account: its unsaved record, as long as the store has the one from before. */
      const get = Effect.fnUntraced(function* (account: AccountKey) {
        const stored = store.get(account)
        const held = MutableHashMap.get(unsaved, account)
        if (Option.isNone(held)) return yield* stored
        const { record, sent } = held.value
        const current = yield* Effect.orElseSucceed(stillThere(account, stored), () => Option.some(sent))
        return Option.map(current, (there) => (isSameLogin(there, sent) ? record : there))
      })

      const letGo = (account: AccountKey) =>
        Effect.sync(() => {
          const held = Option.getOrUndefined(MutableHashMap.get(unsaved, account))
          MutableHashMap.remove(unsaved, account)
          if (held !== undefined) Deferred.doneUnsafe(held.over, Exit.void)
        })

      const set = (account: AccountKey, record: AccountRecord) =>
        Effect.andThen(store.set(account, record), letGo(account))

      /** Saves, unless somebody has logged out or in meanwhile: that is newer than what was refreshed. */
      const save = Effect.fnUntraced(function* (
        account: AccountKey,
        sent: AccountRecord,
        change: (current: AccountRecord) => AccountRecord,
      ): Effect.fn.Return<Kept, StoreError> {
        const current = yield* stillThere(account, get(account))
        if (Option.isNone(current)) return { _tag: "LoggedOut" }
        if (!isSameLogin(current.value, sent)) return { _tag: "LoggedIn", record: current.value }
        const record = change(current.value)
        yield* set(account, record)
        yield* adopted.saved(account, record)
        return { _tag: "Kept", record }
      })

      const trySaving = Effect.fnUntraced(function* (account: AccountKey) {
        const held = MutableHashMap.get(unsaved, account)
        if (Option.isNone(held)) return
        const { record, sent } = held.value
        const current = yield* stillThere(account, store.get(account))
        const isWanted = Option.exists(current, (there) => isSameLogin(there, sent))
        if (isWanted) yield* Effect.andThen(store.set(account, record), adopted.saved(account, record))
        yield* letGo(account)
        const name = printable(account.toString())
        yield* Effect.logInfo(
          isWanted
            ? `The refreshed token of ${name} is saved now.`
            : `The refreshed token of ${name} is not wanted any more: somebody logged out, or in anew.`,
        )
      })

      const hold = Effect.fnUntraced(function* (account: AccountKey, held: Unsaved) {
        MutableHashMap.set(unsaved, account, held)
        yield* Effect.logError(
          `The refreshed token of ${printable(account.toString())} is in memory only: do not end this program. ${held.why.message}`,
        )
        yield* lock
          .withLock(
            account,
            "record",
          )(trySaving(account))
          .pipe(Effect.delay("1 second"), Effect.retry(saving), Effect.orDie, Effect.forkIn(scope))
      })

      // A last try: what could not be written an hour ago may find its place now.
      yield* Effect.addFinalizer(() =>
        Effect.gen(function* () {
          const held = [...MutableHashMap.keys(unsaved)]
          yield* Effect.forEach(held, (account) =>
            lock
              .withLock(
                account,
                "record",
              )(trySaving(account))
              .pipe(Effect.catch(({ message }) => Effect.logError(message))),
          )
          const accounts = [...MutableHashMap.keys(unsaved)]
          if (accounts.length === 0) return
          const lost = LoginsLost.make({ accounts })
          yield* Effect.logError(lost.message)
          return yield* Effect.die(lost)
        }),
      )

      return Accounts.of({
        get,
        glance: (account) => (MutableHashMap.has(unsaved, account) ? Option.none() : store.glance(account)),
        replaceable: store.replaceable,
        list: store.list,
        changes: store.changes,
        update: (account, change) =>
          Effect.gen(function* () {
            const record = yield* change(yield* get(account))
            yield* set(account, record)
            return record
          }).pipe(lock.withLock(account, "record"), Effect.withSpan("Accounts.update")),
        keep: Effect.fn("Accounts.keep")(function* (account, sent, change) {
          return yield* lock
            .withLock(
              account,
              "record",
            )(save(account, sent, change))
            .pipe(
              Effect.catch((why): Effect.Effect<Kept> => {
                const record = change(sent)
                const held = { sent, record, why, over: Deferred.makeUnsafe<void>() }
                return Effect.as(hold(account, held), { _tag: "Kept", record })
              }),
            )
        }, Effect.uninterruptible),
        recover: Effect.fn("Accounts.recover")(function* (account) {
          return yield* Effect.gen(function* () {
            const current = yield* get(account)
            if (Option.isNone(current) || current.value.history.standing._tag !== "Sent") return current
            const written = yield* store.interrupted(account)
            const found = written.find((record) => isAnswerTo(current.value, record))
            if (found === undefined) return current
            yield* set(account, found)
            yield* adopted.saved(account, found)
            yield* Effect.logInfo(
              `The answer to a refresh of ${printable(account.toString())} was recovered after its process died.`,
            )
            return Option.some(found)
          }).pipe(lock.withLock(account, "record"), Effect.uninterruptible)
        }),
        remove: Effect.fn("Accounts.remove")(function* (account) {
          // Who asks to forget what is not there must not leave a lock file behind.
          const known = yield* Effect.result(get(account))
          if (Result.isSuccess(known) && Option.isNone(known.success)) return
          yield* Effect.all([store.remove(account), letGo(account), lock.forget(account)], { discard: true }).pipe(
            Effect.uninterruptible,
            lock.withLock(account, "record"),
          )
        }),
        unsaved: (account) => Effect.sync(() => Option.map(MutableHashMap.get(unsaved, account), ({ why }) => why)),
        saved: (account) =>
          Effect.suspend(() =>
            Option.match(MutableHashMap.get(unsaved, account), {
              onNone: () => Effect.void,
              onSome: ({ over }) => Deferred.await(over),
            }),
          ),
      })
    }),
  )
}
