/**
 * What happens to logins, for whoever listens. To tell it costs nothing to speak of while nobody does, and never waits:
 * a listener that is slow loses the oldest events, and is told how many.
 */
import { Clock, Context, DateTime, Effect, Layer, Queue, type Scope, Stream } from "effect"
import { type AuthEvent, type Happening, isOfTokens } from "../domain/AuthEvent.ts"

/** Takes an event at once; it must not fail, and not wait. */
export type Listener = (event: AuthEvent) => void

export interface ListenOptions {
  /** Whether also what happens for each token that is asked for is wanted, the `token_` events. */
  readonly tokens: boolean
}

/** Events that wait for a subscriber; it loses the oldest beyond these. */
const longest = 1024

/** What is there to listen to. */
export interface Hub {
  /** Whether anybody listens. */
  readonly isHeard: boolean
  /** Whether anybody listens to what happens for each token: to look here is all that it costs to hand out one. */
  readonly hearsTokens: boolean
  /** Tells it to whoever listens, and returns at once. */
  readonly publish: (happening: Happening) => void
  /** Events from when it is run. */
  readonly stream: Stream.Stream<AuthEvent>
  /** Events from now on. */
  readonly subscribe: (options?: ListenOptions) => Effect.Effect<Stream.Stream<AuthEvent>, never, Scope.Scope>
  /** Calls back with each event, until what is returned is called. */
  readonly listen: (options: ListenOptions, listener: Listener) => () => void
}

/** Nobody listens, unless a layer says otherwise. */
const deaf: Hub = {
  isHeard: false,
  hearsTokens: false,
  publish: () => {},
  stream: Stream.never,
  subscribe: () => Effect.succeed(Stream.never),
  listen: () => () => {},
}

/** The events of one broker. */
export class AuthEvents extends Context.Reference<Hub>("tokenkeep/broker/AuthEvents", { defaultValue: () => deaf }) {
  static readonly layer = Layer.effect(
    this,
    Effect.map(Clock.Clock, (clock) => new LocalHub(clock)),
  )
}

/** Starts now, and says how many whole milliseconds have passed since; that the wall clock is set means nothing to it. */
export const stopwatch = (clock: Clock.Clock): (() => number) => {
  const begun = clock.monotonicTimeNanosUnsafe()
  return () => Number((clock.monotonicTimeNanosUnsafe() - begun) / 1_000_000n)
}

/** What is told within one process, to any number of listeners. */
class LocalHub implements Hub {
  isHeard = false
  hearsTokens = false
  readonly #clock: Clock.Clock
  readonly #listeners = new Map<Listener, ListenOptions>()

  constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  publish = (happening: Happening): void => {
    if (!this.isHeard) return
    this.pass({ ...happening, at: this.#now() })
  }

  /** Tells what happened at another time. */
  pass = (event: AuthEvent): void => {
    const isToken = isOfTokens(event._tag)
    for (const [listener, { tokens }] of this.#listeners) if (tokens || !isToken) listener(event)
  }

  listen = (options: ListenOptions, listener: Listener): (() => void) => {
    this.#listeners.set(listener, options)
    this.#changed()
    return () => {
      this.#listeners.delete(listener)
      this.#changed()
    }
  }

  subscribe = (
    options: ListenOptions = { tokens: true },
  ): Effect.Effect<Stream.Stream<AuthEvent>, never, Scope.Scope> =>
    Effect.gen({ self: this }, function* () {
      const queue = yield* Queue.sliding<AuthEvent>(longest)
      let missed = 0
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          this.listen(options, (event) => {
            if (Queue.sizeUnsafe(queue) >= longest) missed++
            Queue.offerUnsafe(queue, event)
          }),
        ),
        (stop) => Effect.sync(stop),
      )
      return Stream.fromIterableEffectRepeat(
        Effect.map(Queue.takeAll(queue), (events) => {
          if (missed === 0) return events
          const told: AuthEvent = { _tag: "missed", at: this.#now(), count: missed }
          missed = 0
          return [told, ...events]
        }),
      )
    })

  get stream(): Stream.Stream<AuthEvent> {
    return Stream.unwrap(this.subscribe())
  }

  #changed(): void {
    this.isHeard = this.#listeners.size > 0
    this.hearsTokens = [...this.#listeners.values()].some(({ tokens }) => tokens)
  }

  #now(): DateTime.Utc {
    return DateTime.makeUnsafe(this.#clock.currentTimeMillisUnsafe())
  }
}

/** Events that come from elsewhere, for one who follows them: {@link LocalHub.pass} tells them. */
export const relayed = Effect.map(Clock.Clock, (clock) => new LocalHub(clock))
