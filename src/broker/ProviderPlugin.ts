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
export type Available = Broker | Command.Environment

type NeededBy<C> = C extends Command.Command<infer _Name, infer _Input, infer _Context, infer _E, infer R> ? R : never

/** Commands that need nothing that there is not. */
type Runnable<Commands extends ReadonlyArray<Command.Command.Any>> = [
  Exclude<NeededBy<Commands[number]>, Available>,
] extends [never]
  ? Commands
  : never

/** Does nothing but check, as it is typed, that a plugin is one. */
export const defineProvider = <const Commands extends ReadonlyArray<Command.Command.Any> = readonly []>(
  plugin: Omit<ProviderPlugin, "commands"> & { readonly commands?: Runnable<Commands> },
): ProviderPlugin => plugin
