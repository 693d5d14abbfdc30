/**
 * Questions to the person who runs the host: may this peer do what is not in its grant? A request waits for the answer a
 * while; the question stays longer, so that a late answer counts for the next try.
 */
import { Context, DateTime, Deferred, Duration, Effect, Equal, Layer, PubSub, type Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { Hex } from "effect/encoding"
import { QuestionNotFound } from "../domain/Errors.ts"
import type { Decision, Question } from "../domain/Question.ts"
import type { Wish } from "../domain/Grant.ts"

/** How long a request waits for a person; less than a request may take. */
const patience = Duration.seconds(25)

/** How long a question can be answered. */
const lifetime = Duration.minutes(5)

/** Open questions of one grant: a sandbox must not bury a person in them. */
const maximumOpen = 4

/** Questions of one grant in the lifetime of one. */
const maximumAsked = 16

/** Who asks, and what to do with the answer. */
export interface Asker {
  readonly grant: { readonly id: string; readonly label: string }
  readonly wish: Wish
  /** Called once, with whether any request still waited for the answer. */
  readonly settle: (decision: Decision, isAwaited: boolean) => Effect.Effect<void>
}

const isRecent = (now: DateTime.Utc) => (asked: DateTime.Utc) =>
  DateTime.isGreaterThan(DateTime.addDuration(asked, lifetime), now)

/** Asks people. */
export class Questions extends Context.Service<
  Questions,
  {
    /** Asks, and waits a while. Whether the person said yes; `once` is for one of those who wait. */
    readonly ask: (asker: Asker) => Effect.Effect<boolean>
    /** The open questions, oldest first. */
    readonly list: Effect.Effect<ReadonlyArray<Question>>
    readonly decide: (id: string, decision: Decision) => Effect.Effect<Question, QuestionNotFound>
    /** Forgets what a grant has asked. */
    readonly forget: (grant: string) => Effect.Effect<void>
    /** Questions from now on, as they are asked. */
    readonly asked: Effect.Effect<PubSub.Subscription<Question>, never, Scope.Scope>
    /** Returns when a question is not open any more. */
    readonly closed: (id: string) => Effect.Effect<void>
  }
>()("tokenkeep/server/Questions") {
  /** Nobody is asked: the answer is no. */
  static readonly layerOff: Layer.Layer<Questions> = Layer.succeed(
    this,
    Questions.of({
      ask: () => Effect.succeed(false),
      list: Effect.succeed([]),
      decide: (id) => Effect.fail(QuestionNotFound.make({ id })),
      forget: () => Effect.void,
      asked: Effect.flatMap(PubSub.unbounded<Question>(), PubSub.subscribe),
      closed: () => Effect.void,
    }),
  )

  static readonly layer: Layer.Layer<Questions, never, SecureRandom.SecureRandom> = Layer.effect(
    this,
    Effect.gen(function* () {
      const random = yield* SecureRandom.SecureRandom
      const published = yield* PubSub.unbounded<Question>()

      interface Open {
        readonly question: Question
        readonly answer: Deferred.Deferred<Decision>
        readonly settle: Asker["settle"]
        waiting: number
        /** Whether one request went on with an answer that is for one. */
        isSpent: boolean
      }
      const open = new Map<string, Open>()
      /** When each grant has asked lately. */
      const history = new Map<string, ReadonlyArray<DateTime.Utc>>()

      const prune = (now: DateTime.Utc) => {
        const isOpen = isRecent(now)
        for (const [id, { question }] of open) if (!isOpen(question.askedAt)) open.delete(id)
      }

      const newId: Effect.Effect<string> = Effect.suspend(() =>
        Effect.flatMap(random.randomBytes(2), (bytes) => {
          const id = Hex.encode(bytes)
          return open.has(id) ? newId : Effect.succeed(id)
        }),
      )

      const begin = Effect.fnUntraced(function* ({ grant, settle, wish }: Asker) {
        const id = yield* newId
        const now = yield* DateTime.now
        const answer = yield* Deferred.make<Decision>()
        prune(now)
        // From here to where it is open nothing else runs: two requests at once are one question.
        const ofGrant = [...open.values()].filter(({ question }) => question.grant === grant.id)
        const same = ofGrant.find(({ question }) => Equal.equals(question.wish, wish))
        if (same !== undefined) return same
        const lately = (history.get(grant.id) ?? []).filter(isRecent(now))
        if (ofGrant.length >= maximumOpen || lately.length >= maximumAsked) return undefined
        history.set(grant.id, [...lately, now])
        const question = { id, grant: grant.id, label: grant.label, wish, askedAt: now }
        const begun: Open = { question, answer, settle, waiting: 0, isSpent: false }
        open.set(id, begun)
        yield* PubSub.publish(published, question)
        return begun
      })

      const wait = (asked: Open) =>
        Effect.acquireUseRelease(
          Effect.sync(() => asked.waiting++),
          () =>
            Deferred.await(asked.answer).pipe(
              Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed("no" as const) }),
              Effect.map((decision) => {
                if (decision !== "once") return decision !== "no"
                const isFirst = !asked.isSpent
                asked.isSpent = true
                return isFirst
              }),
            ),
          () => Effect.sync(() => asked.waiting--),
        )

      return Questions.of({
        ask: (asker) =>
          Effect.flatMap(begin(asker), (asked) => (asked === undefined ? Effect.succeed(false) : wait(asked))),
        list: Effect.map(DateTime.now, (now) => {
          prune(now)
          return [...open.values()].map(({ question }) => question)
        }),
        decide: Effect.fn("Questions.decide")(function* (id, decision) {
          prune(yield* DateTime.now)
          const asked = open.get(id)
          if (asked === undefined) return yield* QuestionNotFound.make({ id })
          open.delete(id)
          yield* asked.settle(decision, asked.waiting > 0)
          yield* Deferred.succeed(asked.answer, decision)
          return asked.question
        }, Effect.uninterruptible),
        forget: (grant) =>
          Effect.suspend(() => {
            history.delete(grant)
            const mine = [...open.values()].filter(({ question }) => question.grant === grant)
            for (const { question } of mine) open.delete(question.id)
            return Effect.forEach(mine, ({ answer }) => Deferred.succeed(answer, "no"), { discard: true })
          }),
        asked: PubSub.subscribe(published),
        closed: (id) =>
          Effect.flatMap(DateTime.now, (now) => {
            const asked = open.get(id)
            if (asked === undefined) return Effect.void
            const end = DateTime.addDuration(asked.question.askedAt, lifetime)
            return Deferred.await(asked.answer).pipe(Effect.timeoutOption(DateTime.distance(now, end)), Effect.asVoid)
          }),
      })
    }),
  )
}
