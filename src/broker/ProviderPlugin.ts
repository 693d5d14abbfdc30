/**
 * A provider that does not come with tokenkeep: what is known of it, in a module that the configuration lists.
 */
import type { Command } from "effect/cli"
import type { ProviderDefinition } from "../oauth/Provider.ts"
import type { Broker } from "./Broker.ts"

export interface ProviderPlugin extends ProviderDefinition {
  /** Whether it takes the place of the built-in provider of its name. */
  readonly overrides?: boolean
  /** Mounted as `tokenkeep NAME …`. */
  readonly commands?: ReadonlyArray<Command.Command.Any>
}

/** What a command may need: it is run with this. */
export type CommandServices = Broker | Command.Environment

/** How a command may fail: with something that can be said. */
interface Sayable {
  readonly _tag: string
  readonly message: string
}

type NeededBy<C> = C extends Command.Command<infer _Name, infer _Input, infer _Context, infer _E, infer R> ? R : never
type FailureOf<C> = C extends Command.Command<infer _Name, infer _Input, infer _Context, infer E, infer _R> ? E : never

/** Commands that need nothing that there is not, and whose failures can be said. */
type Runnable<Commands extends ReadonlyArray<Command.Command.Any>> = [
  Exclude<NeededBy<Commands[number]>, CommandServices>,
  FailureOf<Commands[number]>,
] extends [never, Sayable]
  ? Commands
  : never

/** Does nothing but check, as it is typed, that a plugin is one. */
export const defineProvider = <const Commands extends ReadonlyArray<Command.Command.Any> = readonly []>(
  plugin: Omit<ProviderPlugin, "commands"> & { readonly commands?: Runnable<Commands> },
): ProviderPlugin => plugin
