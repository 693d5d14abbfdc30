/**
 * The commands of plugins, as `tokenkeep NAME …`.
 */
import { Command } from "effect/cli"
import { printable } from "../../domain/RemoteText.ts"
import type { Failure } from "../ExitCode.ts"
import type { LoadedPlugin } from "./PluginLoading.ts"
import * as Services from "../Services.ts"

type Mounted = Command.Command<string, {}, {}, Failure, Command.Environment>

/** One command for each plugin that has some. What they need was checked as they were written. */
export const mount = (plugins: ReadonlyArray<LoadedPlugin>): ReadonlyArray<Mounted> =>
  plugins.flatMap(({ commands = [], name }) =>
    commands.length === 0
      ? []
      : [
          Command.make(name).pipe(
            Command.withDescription(`Commands of the plugin ${printable(name)}`),
            Command.withSubcommands(commands),
            Command.provide(Services.either),
          ),
        ],
  )
