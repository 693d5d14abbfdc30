/**
 * `auth login | token | status | logout`, to be mounted in a command line of somebody else's: under any name, with the
 * providers of that program, and its logins kept where it says.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { type Config, Effect, identity, Layer, type PlatformError } from "effect"
import { Command } from "effect/cli"
import type { BrokerConfig } from "../broker/BrokerConfig.ts"
import * as BrokerConfigEnv from "../broker/BrokerConfigEnv.ts"
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { builtIn } from "../providers/BuiltIn.ts"
import { ProviderDefinitions } from "../providers/ProviderDefinitions.ts"
import type { Failure } from "./ExitCode.ts"
import * as Failures from "./Failures.ts"
import * as GlobalFlags from "./GlobalFlags.ts"
import { login } from "./Login.ts"
import * as LoginWords from "./login/LoginWords.ts"
import { logout } from "./Logout.ts"
import { inProgram, ProgramName } from "./ProgramName.ts"
import * as Services from "./Services.ts"
import { status } from "./Status.ts"
import { token } from "./Token.ts"

/** What `auth` is made from. `E` is how `config` can fail. */
export interface AuthOptions<E extends Failure> {
  /** The program, as it is typed: errors say what to type next. */
  readonly program: string
  /** What the command is called. Default: `auth`. */
  readonly name?: string
  /**
   * The providers that can be logged in at: definitions of the program's own, and names of those that tokenkeep knows. Any
   * other name is a defect when a command runs. Default: what the user has configured for tokenkeep.
   */
  readonly providers?: ReadonlyArray<ProviderDefinition | string>
  /**
   * Where logins are kept, like `BrokerConfig.layer(folder)`. Default: where tokenkeep keeps them, so that programs share
   * them. A `TOKENKEEP_SOCKET` in the environment goes before it.
   */
  readonly config?: Layer.Layer<BrokerConfig, E>
  /** What `login` says, as far as it is to be said otherwise. */
  readonly words?: Partial<LoginWords.LoginWords>
  /** What the help says of the commands. */
  readonly descriptions?: { readonly [command in "auth" | "login" | "token" | "status" | "logout"]?: string }
}

/** The program's own, and none but those. */
const chosen = (providers: ReadonlyArray<ProviderDefinition | string>) =>
  Layer.effect(
    ProviderDefinitions,
    Effect.forEach(providers, (chosen) => {
      if (typeof chosen !== "string") return Effect.succeed(chosen)
      const known = builtIn.find(({ name }) => name === chosen)
      // A copy: unlike what is merely built in, this is meant to be used.
      return known === undefined
        ? Effect.die(`auth: tokenkeep knows no provider ${chosen}`)
        : Effect.succeed({ ...known })
    }),
  )

/**
 * The command with `login`, `token`, `status` and `logout` below it, and all that they need but the platform: provide
 * `NodeServices.layer` of `@effect/platform-node` to what runs it. What a subcommand fails with says itself in words, or
 * with `--json` as JSON on stdout, and carries the exit code of {@link Failures.mark}; `NodeRuntime.runMain` ends with it.
 */
export const make = <E extends Failure = never>(options: AuthOptions<E>) => {
  const { descriptions = {}, name = "auth", program, providers, words } = options
  const typed = `${program} ${name}`

  const mounted = <const Name extends string, Input, ContextInput, E, Needs>(
    command: Command.Command<Name, Input, ContextInput, E, Needs>,
    description: string | undefined,
  ) =>
    command.pipe(
      // What is shorter than ours would be said beside it.
      description === undefined ? identity : Command.withShortDescription(inProgram(typed, description)),
      Command.withDescription(inProgram(typed, description ?? command.description ?? "")),
      Command.withExamples(
        command.examples.map(({ command, ...rest }) => ({ ...rest, command: inProgram(typed, command) })),
      ),
    )

  const config: Layer.Layer<BrokerConfig, E | Config.ConfigError | PlatformError.PlatformError> =
    options.config ?? BrokerConfigEnv.layer.pipe(Layer.provide(NodeServices.layer))
  const known = providers === undefined ? Layer.empty : chosen(providers)

  return Command.make(name).pipe(
    Command.withDescription(descriptions.auth ?? "Log in and out, and print access tokens"),
    Command.withSubcommands([
      mounted(login, descriptions.login),
      mounted(token, descriptions.token),
      mounted(status, descriptions.status),
      mounted(logout, descriptions.logout),
    ]),
    Command.provide(Services.eitherIn(config).pipe(Layer.provideMerge(known), Layer.tapError(Failures.mark))),
    Command.provide(
      Layer.mergeAll(
        Layer.succeed(ProgramName, typed),
        Layer.succeed(LoginWords.Words, { ...LoginWords.english, ...words }),
      ),
    ),
    Command.withGlobalFlags(GlobalFlags.all),
  )
}
