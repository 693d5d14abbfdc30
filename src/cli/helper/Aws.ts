/**
 * `helper aws`: a `credential_process` of AWS' programs. They want keys of AWS, so the token is traded for those of a role,
 * which trusts the token's issuer.
 */
import { Config, Effect, Option, Redacted, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import type { AccountKey } from "../../domain/AccountKey.ts"
import { oneLine, printable } from "../../domain/RemoteText.ts"
import * as Aws from "../../helpers/Aws.ts"
import * as Shell from "../../helpers/Shell.ts"
import { join, Machine } from "../../import/Machine.ts"
import { ProviderFetch } from "../../oauth/ProviderFetch.ts"
import { SecureUrl } from "../../oauth/SecureUrl.ts"
import { account } from "../AccountArgument.ts"
import { yes } from "../Confirm.ts"
import { print } from "../Handouts.ts"
import { StoredLogins } from "../StoredLogins.ts"
import { ThisProgram } from "../ThisProgram.ts"
import { UsageError } from "../UsageError.ts"
import * as Arguments from "./Arguments.ts"
import * as Change from "./Change.ts"
import * as Sts from "./Sts.ts"

const checked = (is: (text: string) => boolean, expected: string) =>
  Schema.String.check(Schema.makeFilter((text) => is(text) || expected))

const Seconds = Schema.FiniteFromString.check(
  Schema.isInt(),
  Schema.isBetween({ minimum: Aws.shortest, maximum: Aws.longest }),
)

export const aws = Command.make(
  "aws",
  {
    account,
    arn: Flag.String("role-arn").pipe(
      Flag.withDescription("The role whose keys are wanted (required, but to uninstall)"),
      Flag.withSchema(checked(Aws.isRoleArn, "expected an ARN like arn:aws:iam::123456789012:role/NAME")),
      Flag.optional,
    ),
    sessionName: Flag.String("session-name").pipe(
      Flag.withDescription("What AWS' logs call it"),
      Flag.withSchema(checked(Aws.isSessionName, "expected 2 to 64 of A-Z, a-z, 0-9 and _+=,.@-")),
      Flag.withDefault("tokenkeep"),
    ),
    seconds: Flag.String("duration").pipe(
      Flag.withDescription("How many seconds the keys are good for, 900 to 43200; 3600 by default"),
      Flag.withSchema(Seconds),
      Flag.withDefault(3600),
    ),
    region: Flag.String("region").pipe(
      Flag.withDescription("The region whose STS is asked; by default AWS_REGION, or the one for all of them"),
      Flag.withSchema(checked(Aws.isRegion, "expected a region like eu-central-1")),
      Flag.optional,
    ),
    endpoint: Flag.String("endpoint").pipe(
      Flag.withDescription("The address of another STS"),
      Flag.withSchema(SecureUrl),
      Flag.optional,
    ),
    idToken: Flag.Boolean("id-token").pipe(
      Flag.withDescription("Show AWS the ID token of the login, not its access token. On the host only"),
      Flag.withDefault(false),
    ),
    profile: Flag.String("profile").pipe(
      Flag.withDescription("With --install and --uninstall, the profile in AWS' configuration"),
      Flag.withSchema(checked((text) => /^[\w.@+-]{1,100}$/.test(text), "expected letters, digits and _.@+-")),
      Flag.optional,
    ),
    install: Arguments.install,
    uninstall: Arguments.uninstall,
    yes,
  },
  Effect.fn("helper.aws")(
    function* ({ account, ...input }) {
      if (input.uninstall) return yield* uninstall(account, input.profile, input.yes)
      if (Option.isNone(input.arn)) return yield* new UsageError({ detail: "Name the role with --role-arn." })
      const { arn, endpoint, idToken, region, seconds, sessionName } = input
      if (input.install) {
        const words = [
          "--role-arn",
          arn.value,
          ...(sessionName === "tokenkeep" ? [] : ["--session-name", sessionName]),
          ...(seconds === 3600 ? [] : ["--duration", String(seconds)]),
          ...Option.match(region, { onNone: () => [], onSome: (name) => ["--region", name] }),
          ...Option.match(endpoint, { onNone: () => [], onSome: (url) => ["--endpoint", url] }),
          ...(idToken ? ["--id-token"] : []),
        ]
        return yield* install(account, words, input.profile, input.yes)
      }
      const url = Option.isSome(endpoint) ? endpoint.value : yield* endpointFor(arn.value, region)
      const role = { arn: arn.value, sessionName, seconds }
      const token = yield* tokenOf(account, idToken)
      const keys = yield* Sts.assume(url, role, token)
      yield* print(Aws.answer(keys))
    },
    Effect.provide([Machine.layer, ProviderFetch.layer]),
  ),
).pipe(
  Command.withDescription("Answer AWS' programs with the keys of a role"),
  Command.withExamples([
    { command: "tokenkeep helper aws example --role-arn arn:aws:iam::123456789012:role/dev --profile dev --install" },
  ]),
)

/** The STS to ask. Where AWS is in another country's hands there is none for all regions. */
const endpointFor = Effect.fnUntraced(function* (arn: string, typed: Option.Option<string>) {
  const named = Option.isSome(typed)
    ? typed
    : yield* Config.option(
        Config.orElse(Config.NonEmptyString("AWS_REGION"), () => Config.NonEmptyString("AWS_DEFAULT_REGION")),
      )
  if (Option.exists(named, (name) => !Aws.isRegion(name))) {
    return yield* new UsageError({ detail: "AWS_REGION, or AWS_DEFAULT_REGION, is not a region like eu-central-1." })
  }
  if (Option.isNone(named) && !arn.startsWith("arn:aws:")) {
    return yield* new UsageError({
      detail: "The role is in a part of AWS where STS has an address in each region only. Name yours with --region.",
    })
  }
  return Aws.endpointOf(Option.getOrUndefined(named))
})

const tokenOf = Effect.fnUntraced(function* (account: AccountKey, isIdToken: boolean) {
  const { accessToken } = yield* Arguments.handout(account.toString())
  if (!isIdToken) return Redacted.make(accessToken)
  const stored = yield* StoredLogins
  const found = yield* stored.idToken(account)
  if (Option.isSome(found)) return found.value
  return yield* new UsageError({
    detail: `There is no ID token of ${printable(account.toString())} that is still good. One comes with a login for the scope openid, and with a refresh at some providers only.`,
  })
})

const configPath = Effect.map(
  Machine,
  ({ home, variables }) => variables.AWS_CONFIG_FILE ?? join(home, ".aws", "config"),
)

const headerOf = (profile: string) => (profile === "default" ? "[default]" : `[profile ${profile}]`)

const start = (account: AccountKey) => Shell.command(["helper", "aws", account.toString()])

const required = (profile: Option.Option<string>) =>
  Effect.mapError(
    Effect.fromOption(profile),
    () => new UsageError({ detail: "Name the profile in AWS' configuration with --profile." }),
  )

/** Two of one name, and AWS' programs read nothing of the file; so it counts however it is written. */
const isHeader = (line: string, profile: string) =>
  line
    .trim()
    .replace(/^\[\s*(profile\s+)?(["']?)([^\]]*?)\2\s*\].*$/, "[$1$3]")
    .replace(/\s+/g, " ") === headerOf(profile)

/** Where a profile is among the lines: its header, and where the next one begins. */
const sectionOf = (lines: ReadonlyArray<string>, profile: string) => {
  const header = lines.findIndex((line) => isHeader(line, profile))
  const next = lines.findIndex((line, at) => at > header && line.trim().startsWith("["))
  return { header, end: next === -1 ? lines.length : next }
}

const install = Effect.fnUntraced(function* (
  account: AccountKey,
  words: ReadonlyArray<string>,
  named: Option.Option<string>,
  yes: boolean,
) {
  const profile = yield* required(named)
  const program = yield* ThisProgram
  const path = yield* configPath
  const was = yield* Change.textAt(path)
  const text = Option.getOrElse(was, () => "")
  const line = `credential_process = ${Shell.command(program)} ${start(account)} ${Shell.command(words)}`
  const lines = text.split("\n")
  const { end, header } = sectionOf(lines, profile)
  const isThere = header !== -1
  if (isThere && !lines.slice(header, end).includes(line)) {
    return yield* new Change.NotChanged({
      detail: `${oneLine(path)} has a profile ${profile} already. Nothing was changed; name another one with --profile, or write this into it: ${line}`,
    })
  }
  const gap = text === "" ? "" : text.endsWith("\n") ? "\n" : "\n\n"
  yield* Change.carryOut(
    isThere
      ? []
      : [
          Change.rewrite(
            path,
            was,
            `${text}${gap}${headerOf(profile)}\n${line}\n`,
            `at its end\n${headerOf(profile)}\n${line}`,
          ),
        ],
    {
      yes,
      none: `The profile ${profile} asks tokenkeep already.`,
      startsUs: true,
      done: `The profile ${profile} has its keys from tokenkeep from now on. Take that back with: tokenkeep ${start(account)} --profile ${profile} --uninstall`,
    },
  )
})

const uninstall = Effect.fnUntraced(function* (account: AccountKey, named: Option.Option<string>, yes: boolean) {
  const profile = yield* required(named)
  const path = yield* configPath
  const was = yield* Change.textAt(path)
  const lines = Option.getOrElse(was, () => "").split("\n")
  const { end, header } = sectionOf(lines, profile)
  const at = lines.findIndex(
    (line, at) =>
      at > header &&
      at < end &&
      line.startsWith("credential_process = ") &&
      line.includes(` ${start(account)} --role-arn `),
  )
  const isOurs = header !== -1 && at !== -1
  // What else was written into the profile since stays, and the profile with it.
  const isAlone = lines.slice(header + 1, end).every((line, index) => header + 1 + index === at || line.trim() === "")
  const gap = lines[header - 1] === "" ? 1 : 0
  const text = (isAlone ? lines.toSpliced(header - gap, at - header + 1 + gap) : lines.toSpliced(at, 1)).join("\n")
  yield* Change.carryOut(
    isOurs
      ? [
          Change.rewrite(
            path,
            was,
            text,
            `no credential_process in ${headerOf(profile)}${isAlone ? ", nor that" : ""} any more`,
          ),
        ]
      : [],
    {
      yes,
      none: Change.nothingToTakeBack,
      done: `The profile ${profile} no longer asks tokenkeep.`,
    },
  )
})
