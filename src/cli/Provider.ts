/**
 * `provider`: adds and lists providers in the host's configuration.
 */
import { Console, Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import { Providers } from "../broker/Providers.ts"
import { ProviderName } from "../domain/AccountKey.ts"
import { InvalidRequest } from "../domain/Errors.ts"
import { printable } from "../domain/RemoteText.ts"
import { ProviderRecord } from "../oauth/Provider.ts"
import { SecureUrl } from "../oauth/SecureUrl.ts"
import { flowNames, nameOf } from "./FlowName.ts"

const url = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withSchema(SecureUrl), Flag.optional)

const decodeRecord = Schema.decodeUnknownEffect(ProviderRecord)

const add = Command.make(
  "add",
  {
    name: Argument.String("name").pipe(
      Argument.withDescription("What to call the provider"),
      Argument.withSchema(ProviderName),
    ),
    issuer: url("issuer", "Where its metadata is found"),
    authorizationEndpoint: url("authorization-endpoint", "For a provider without metadata"),
    tokenEndpoint: url("token-endpoint", "For a provider without metadata"),
    deviceEndpoint: url("device-endpoint", "For a provider without metadata"),
    clientId: Flag.String("client-id").pipe(Flag.withDescription("Who we are to it")),
    clientSecretEnv: Flag.String("client-secret-env").pipe(
      Flag.withDescription("The environment variable that holds the client secret"),
      Flag.optional,
    ),
    clientSecretFile: Flag.String("client-secret-file").pipe(
      Flag.withDescription("The file that holds the client secret"),
      Flag.optional,
    ),
    flows: Flag.Literals("flow", ["device", "browser", "paste"]).pipe(
      Flag.withDescription("A way to log in; repeat in order of preference"),
      Flag.atLeast(1),
    ),
    scopes: Flag.String("scope").pipe(Flag.withDescription("A scope to ask for; repeat for more"), Flag.atLeast(0)),
    redirectUris: Flag.String("redirect-uri").pipe(
      Flag.withDescription("A redirect URI as registered; repeat for more"),
      Flag.withSchema(SecureUrl),
      Flag.atLeast(0),
    ),
    publicFields: Flag.String("public-field").pipe(
      Flag.withDescription("A further field of token responses that may leave the host; repeat for more"),
      Flag.atLeast(0),
    ),
  },
  Effect.fn("provider.add")(function* (input) {
    const providers = yield* Providers
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
      ...(input.publicFields.length > 0 && { publicFields: input.publicFields }),
    }).pipe(
      Effect.mapError(({ message }) =>
        InvalidRequest.make({ detail: `The provider was not added. ${printable(message)}` }),
      ),
    )
    yield* providers.set(input.name, record)
    yield* Console.error(
      `Added ${printable(input.name)} to ${configFile}. Log in with: tokenkeep login ${printable(input.name)}`,
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

const list = Command.make(
  "list",
  {},
  Effect.fn("provider.list")(function* () {
    const providers = yield* Providers
    const names = yield* providers.list
    if (names.length === 0) yield* Console.error("No provider is configured. Add one with: tokenkeep provider add")
    yield* Effect.forEach(
      names,
      (name) =>
        Effect.flatMap(providers.record(name), (record) =>
          Console.log(
            [
              printable(name),
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
  Command.withSubcommands([add, list]),
)
