/**
 * `helper`: what other programs run to be given a token, each in its own words; and how they are told to.
 */
import { Command } from "effect/cli"
import { apiKey } from "./helper/ApiKey.ts"
import { aws } from "./helper/Aws.ts"
import { docker } from "./helper/Docker.ts"
import { git } from "./helper/Git.ts"
import { kube } from "./helper/Kube.ts"

export const helper = Command.make("helper").pipe(
  Command.withDescription("Give tokens to git, kubectl, docker, AWS' programs and others, in their own words"),
  Command.withSubcommands([git, kube, docker, aws, apiKey]),
)
