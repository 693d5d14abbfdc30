/**
 * `provider`: adds, lists and removes providers in the host's configuration.
 */
import { Console, Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import { Providers } from "../broker/Providers.ts"
import * as Account from "../domain/AccountKey.ts"
import { loginCommand } from "../domain/LoginCommand.ts"
import { printable } from "../domain/RemoteText.ts"
import { ProviderRecord } from "../oauth/ProviderRecord.ts"
import { SecureUrl } from "../oauth/SecureUrl.ts"
import { type FlowName, flowNames, nameOf } from "./FlowName.ts"
import { onHost } from "./OnHost.ts"
import { UsageError } from "./UsageError.ts"

const url = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withSchema(SecureUrl), Flag.optional)

const here = onHost("Providers")

const decodeRecord = Schema.decodeUnknownEffect(ProviderRecord)

const add = Command.make(
  "add",
  {
    name: Argument.String("name").pipe(
      Argument.withDescription("What to call the provider"),
      Argument.withSchema(Account.ProviderName),
    ),
    issuer: url("issuer", "The issuer URL, like https://id.example; its metadata is found from there"),
    authorizationEndpoint: url("authorization-endpoint", "For a provider without metadata"),
    tokenEndpoint: url("token-endpoint", "For a provider without metadata"),
    deviceEndpoint: url("device-endpoint", "For a provider without metadata"),
    clientId: Flag.String("client-id").pipe(Flag.withDescription("The OAuth client ID (required)")),
    clientSecretEnv: Flag.String("client-secret-env").pipe(
      Flag.withDescription("The environment variable that holds the client secret"),
      Flag.optional,
    ),
    clientSecretFile: Flag.String("client-secret-file").pipe(
      Flag.withDescription("The file that holds the client secret"),
      Flag.optional,
    ),
    flows: Flag.Literals("flow", ["device", "browser", "paste"]).pipe(
      Flag.withDescription("A way to log in (required); repeat in order of preference"),
      Flag.atLeast(1),
    ),
    scopes: Flag.String("scope").pipe(Flag.withDescription("A scope to ask for; repeat for more"), Flag.atLeast(0)),
    redirectUris: Flag.String("redirect-uri").pipe(
      Flag.withDescription(
        "A redirect URI as registered; on http://127.0.0.1 without a port, any port is used; repeat for more",
      ),
      Flag.withSchema(SecureUrl),
      Flag.atLeast(0),
    ),
    resource: url("resource", "What its tokens are for, like https://mcp.example/mcp (RFC 8707)"),
    publicFields: Flag.String("public-field").pipe(
      Flag.withDescription(
        "A field of token responses that may leave the host, instead of account_id and resource_url; repeat for more",
      ),
      Flag.atLeast(0),
    ),
  },
  Effect.fn("provider.add")(function* (input) {
    yield* here
    const mistake = mistakeIn(input)
    if (mistake !== undefined) return yield* new UsageError({ detail: `The provider was not added. ${mistake}` })
    const providers = yield* Providers
    const name = Account.canonicalName(input.name)
    const known = yield* providers.list
    const { configFile } = yield* BrokerConfig
    const record = yield* decodeRecord({
      ...(Option.isSome(input.issuer) && { issuer: input.issuer.value }),
      ...(Option.isSome(input.tokenEndpoint) && {
        endpoints: {
          token: input.tokenEndpoint.value,
          ...(Option.isSome(input.authorizationEndpoint) && { authorization: input.authorizationEndpoint.value }),
          ...(Option.isSome(input.deviceEndpoint) && { deviceAuthorization: input.deviceEndpoint.value }),
        },
      }),
      clientId: input.clientId,
      ...(Option.isSome(input.clientSecretEnv) && { clientSecret: { env: input.clientSecretEnv.value } }),
      ...(Option.isSome(input.clientSecretFile) && { clientSecret: { file: input.clientSecretFile.value } }),
      flows: input.flows.map((name) => flowNames[name]),
      scopes: input.scopes.flatMap((scopes) => scopes.split(/[ ,]+/)).filter((scope) => scope !== ""),
      redirectUris: input.redirectUris,
      ...(Option.isSome(input.resource) && { resource: input.resource.value }),
      ...(input.publicFields.length > 0 && { publicFields: input.publicFields }),
    }).pipe(
      Effect.mapError(({ message }) => new UsageError({ detail: `The provider was not added. ${printable(message)}` })),
    )
    yield* providers.set(name, record)
    const done = known.includes(name) ? "Replaced" : "Added"
    yield* Console.error(
      `${done} ${printable(name)} in ${configFile}. Log in with: ${loginCommand(Account.make(name))}`,
    )
  }),
).pipe(
  Command.withDescription("Add a provider, or replace the one of that name"),
  Command.withExamples([
    {
      command:
        "tokenkeep provider add example --issuer https://id.example --client-id my-client --flow device --scope openid --scope offline_access",
    },
  ]),
)

/** What cannot work in what was typed, with the flag that mends it. */
const mistakeIn = (input: {
  readonly name: string
  readonly issuer: Option.Option<string>
  readonly tokenEndpoint: Option.Option<string>
  readonly authorizationEndpoint: Option.Option<string>
  readonly deviceEndpoint: Option.Option<string>
  readonly clientSecretEnv: Option.Option<string>
  readonly clientSecretFile: Option.Option<string>
  readonly flows: ReadonlyArray<FlowName>
  readonly redirectUris: ReadonlyArray<string>
}): string | undefined => {
  const explicit = Option.isSome(input.tokenEndpoint)
  const other = Option.isSome(input.authorizationEndpoint) || Option.isSome(input.deviceEndpoint)
  if (Option.exists(input.issuer, (issuer) => issuer.includes("/.well-known/"))) {
    return "The issuer is the part before /.well-known/."
  }
  if (!explicit && other) return "With --authorization-endpoint or --device-endpoint goes --token-endpoint."
  if (!explicit && Option.isNone(input.issuer))
    return "Give its --issuer, or its endpoints beginning with --token-endpoint."
  if (explicit && input.flows.includes("device") && Option.isNone(input.deviceEndpoint)) {
    return "For --flow device it needs a --device-endpoint."
  }
  if (explicit && input.flows.some((flow) => flow !== "device") && Option.isNone(input.authorizationEndpoint)) {
    return "For --flow browser and --flow paste it needs an --authorization-endpoint."
  }
  if (input.flows.includes("paste") && input.redirectUris.length === 0) {
    return "For --flow paste it needs a --redirect-uri, as registered at the provider."
  }
  if (Option.isSome(input.clientSecretEnv) && Option.isSome(input.clientSecretFile)) {
    return "Give the client secret by --client-secret-env or by --client-secret-file, not by both."
  }
  return undefined
}

const remove = Command.make(
  "remove",
  { name: Argument.String("name").pipe(Argument.withDescription("What the provider is called")) },
  Effect.fn("provider.remove")(function* (input) {
    yield* here
    const name = Account.canonicalName(input.name)
    const providers = yield* Providers
    yield* providers.remove(name)
    yield* Console.error(`Removed ${printable(name)}. Its logins stay, but are not refreshed; see: tokenkeep status`)
  }),
).pipe(Command.withDescription("Forget a provider"))

const list = Command.make(
  "list",
  {},
  Effect.fn("provider.list")(function* () {
    yield* here
    const providers = yield* Providers
    const names = yield* providers.list
    if (names.length === 0) yield* Console.error("No provider is configured. Add one with: tokenkeep provider add")
    yield* Effect.forEach(
      names,
      (name) =>
        Effect.flatMap(providers.record(name), (record) =>
          Console.log(
            [
              printable(Account.make(name).toString()),
              record.flows.map((flow) => nameOf[flow]).join(","),
              record.issuer ?? record.endpoints?.token ?? "",
            ].join("\t"),
          ),
        ),
      { discard: true },
    )
  }),
).pipe(Command.withDescription("List the providers: name, flows, address"))

export const provider = Command.make("provider").pipe(
  Command.withDescription("Providers to log in at"),
  Command.withSubcommands([add, list, remove]),
)
