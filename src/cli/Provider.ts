/**
 * `provider`: adds, lists, shows and removes providers in the host's configuration. What is added to the configuration is
 * what was typed; the rest comes from what is built in.
 */
import { Array, Console, Effect, Option, Path, Result, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import { Providers } from "../broker/Providers.ts"
import * as Account from "../domain/AccountKey.ts"
import { ascii } from "../domain/AsciiJson.ts"
import { loginCommand } from "../domain/LoginCommand.ts"
import { printable } from "../domain/RemoteText.ts"
import { FlowType } from "../domain/Session.ts"
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { ProviderRecord } from "../oauth/ProviderRecord.ts"
import { combine, resolve } from "../oauth/ProviderResolution.ts"
import { SecureUrl } from "../oauth/SecureUrl.ts"
import { ProviderDefinitions } from "../providers/ProviderDefinitions.ts"
import { builtIn } from "../providers/BuiltIn.ts"
import { type FlowName, flowNames, nameOf } from "./FlowName.ts"
import { Json } from "./GlobalFlags.ts"
import { onHost } from "./OnHost.ts"
import * as Table from "./Table.ts"
import { UsageError } from "./UsageError.ts"

const url = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withSchema(SecureUrl), Flag.optional)

const here = onHost("Providers")

const decodeRecord = Schema.decodeUnknownEffect(ProviderRecord)
const encodeRecord = Schema.encodeEffect(ProviderRecord)

const refused = (why: string) => new UsageError({ detail: `The provider was not added. ${why}` })

/** What can be looked at before it is known whether it is a record. */
const decodeSketch = Schema.decodeUnknownOption(
  Schema.Struct({
    issuer: Schema.optionalKey(Schema.String),
    endpoints: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
    clientId: Schema.optionalKey(Schema.String),
    scopes: Schema.optionalKey(Schema.Array(Schema.String)),
    flows: Schema.optionalKey(Schema.Array(FlowType)),
    redirectUris: Schema.optionalKey(Schema.Array(Schema.String)),
  }),
)
type Sketch = Option.Option.Value<ReturnType<typeof decodeSketch>>

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
    revocationEndpoint: url("revocation-endpoint", "For a provider without metadata"),
    base: Flag.String("extends").pipe(
      Flag.withDescription("The built-in provider that it is like, if not that of its own name"),
      Flag.optional,
    ),
    clientId: Flag.String("client-id").pipe(
      Flag.withDescription("The OAuth client ID (required, unless it is built in)"),
      Flag.optional,
    ),
    clientSecretEnv: Flag.String("client-secret-env").pipe(
      Flag.withDescription("The environment variable that holds the client secret"),
      Flag.optional,
    ),
    clientSecretFile: Flag.String("client-secret-file").pipe(
      Flag.withDescription("The file that holds the client secret"),
      Flag.optional,
    ),
    flows: Flag.Literals("flow", ["device", "browser", "paste"]).pipe(
      Flag.withDescription("A way to log in (required, unless it is built in); repeat in order of preference"),
      Flag.atLeast(0),
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
    const definitions = yield* ProviderDefinitions
    const paths = yield* Path.Path
    const name = Account.canonicalName(input.name)
    const scopes = input.scopes.flatMap((scopes) => scopes.split(/[ ,]+/)).filter((scope) => scope !== "")
    const flows = input.flows.map((name) => flowNames[name])
    const endpoints = {
      ...(Option.isSome(input.tokenEndpoint) && { token: input.tokenEndpoint.value }),
      ...(Option.isSome(input.authorizationEndpoint) && { authorization: input.authorizationEndpoint.value }),
      ...(Option.isSome(input.deviceEndpoint) && { deviceAuthorization: input.deviceEndpoint.value }),
      ...(Option.isSome(input.revocationEndpoint) && { revocation: input.revocationEndpoint.value }),
    }
    const typed = {
      ...(Option.isSome(input.base) && { extends: input.base.value }),
      ...(Option.isSome(input.issuer) && { issuer: input.issuer.value }),
      ...(Object.keys(endpoints).length > 0 && { endpoints }),
      ...(Option.isSome(input.clientId) && { clientId: input.clientId.value }),
      ...(Option.isSome(input.clientSecretEnv) && { clientSecret: { env: input.clientSecretEnv.value } }),
      ...(Option.isSome(input.clientSecretFile) && {
        clientSecret: { file: paths.resolve(input.clientSecretFile.value) },
      }),
      ...(Array.isReadonlyArrayNonEmpty(flows) && { flows }),
      ...(scopes.length > 0 && { scopes }),
      ...(input.redirectUris.length > 0 && { redirectUris: input.redirectUris }),
      ...(Option.isSome(input.resource) && { resource: input.resource.value }),
      ...(input.publicFields.length > 0 && { publicFields: input.publicFields }),
    }
    const isOwn = !definitions.some((known) => known.name === (typed.extends ?? name))
    // Where nothing is known of it, no scope is asked for unless it is said.
    const said = isOwn ? { scopes: [], ...typed } : typed
    const combined = combine(name, said, definitions)
    if (Option.isNone(combined)) {
      return yield* refused("What --extends names is not known. See what is with: tokenkeep provider list --all")
    }
    const { record } = combined.value
    const mistake = mistakeIn(
      input,
      Option.getOrElse(decodeSketch(record), (): Sketch => ({})),
    )
    if (mistake !== undefined) return yield* refused(mistake)
    yield* decodeRecord(record).pipe(Effect.mapError(({ message }) => refused(printable(message))))
    const providers = yield* Providers
    const known = yield* providers.list
    const { configFile } = yield* BrokerConfig
    yield* providers.set(name, said)
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
    { command: "tokenkeep provider add microsoft --client-id my-client" },
    { command: "tokenkeep provider add work --extends oidc --issuer https://id.example --client-id my-client" },
  ]),
)

/** What is not right yet in what was typed and what is known, with the flag that mends it. */
const mistakeIn = (
  typed: {
    readonly issuer: Option.Option<string>
    readonly clientSecretEnv: Option.Option<string>
    readonly clientSecretFile: Option.Option<string>
  },
  { clientId, endpoints, flows = [], issuer, redirectUris = [], scopes }: Sketch,
): string | undefined => {
  const missing = { clientId, flows: flows[0], scopes }
  if (Option.exists(typed.issuer, (url) => url.includes("/.well-known/"))) {
    return "The issuer is the part before /.well-known/."
  }
  if (endpoints !== undefined && !("token" in endpoints)) {
    return "With --authorization-endpoint, --device-endpoint or --revocation-endpoint goes --token-endpoint."
  }
  if (endpoints === undefined && issuer === undefined) {
    return "Give its --issuer, or its endpoints beginning with --token-endpoint."
  }
  for (const field of neededFields) if (missing[field] === undefined) return `Give its ${flagOf[field]}.`
  if (endpoints !== undefined && flows.includes("device_code") && !("deviceAuthorization" in endpoints)) {
    return "For --flow device it needs a --device-endpoint."
  }
  if (endpoints !== undefined && flows.some((flow) => flow !== "device_code") && !("authorization" in endpoints)) {
    return "For --flow browser and --flow paste it needs an --authorization-endpoint."
  }
  if (flows.includes("pkce_redirect") && redirectUris.length === 0) {
    return "For --flow paste it needs a --redirect-uri, as registered at the provider."
  }
  if (Option.isSome(typed.clientSecretEnv) && Option.isSome(typed.clientSecretFile)) {
    return "Give the client secret by --client-secret-env or by --client-secret-file, not by both."
  }
  return undefined
}

/** What a record must say, and what of it may not be known. */
const neededFields = ["clientId", "flows", "scopes"] as const
const flagOf: { readonly [field: string]: string } = {
  clientId: "--client-id",
  flows: "--flow",
  scopes: "--scope",
  issuer: "--issuer",
}

const remove = Command.make(
  "remove",
  { name: Argument.String("name").pipe(Argument.withDescription("What the provider is called")) },
  Effect.fn("provider.remove")(function* (input) {
    yield* here
    const name = Account.canonicalName(input.name)
    const providers = yield* Providers
    const definitions = yield* ProviderDefinitions
    const { configFile } = yield* BrokerConfig
    const known = definitions.find((known) => known.name === name)
    yield* Effect.catchTag(providers.remove(name), "ProviderNotConfigured", (unknown) =>
      Effect.fail(known === undefined ? unknown : new UsageError({ detail: notRemoved(known, configFile) })),
    )
    const remains = known !== undefined && missingOf(known, definitions).length === 0
    yield* Console.error(
      remains
        ? `Removed what ${configFile} said of ${printable(name)}. It is still there, as it is ${sourceOf(known)}. Its logins stay, but are refreshed only if that is the same server and client; see: tokenkeep status`
        : `Removed ${printable(name)}. Its logins stay, but are not refreshed; see: tokenkeep doctor`,
    )
  }),
).pipe(Command.withDescription("Forget a provider"))

/** Why there was nothing to remove of a provider that is known all the same. */
const notRemoved = (known: ProviderDefinition, configFile: string) => {
  const why = `Nothing was removed: ${printable(known.name)} is ${sourceOf(known)}, and ${configFile} says nothing more of it.`
  const own = isBuiltIn(known) ? "" : ` To be rid of it, take the plugin out of "providers" there.`
  return `${why}${own} Its logins are ended with: tokenkeep logout`
}

const isBuiltIn = (known: ProviderDefinition) => builtIn.includes(known)

const sourceOf = (known: ProviderDefinition) => (isBuiltIn(known) ? "built in" : "from a plugin")

/** What the configuration would have to say of a provider that is known. */
const missingOf = ({ name }: ProviderDefinition, definitions: ReadonlyArray<ProviderDefinition>) => {
  const resolution = resolve(name, undefined, definitions)
  return resolution._tag === "Incomplete" ? resolution.missing : []
}

/** A provider in the list. */
interface Row {
  readonly name: string
  readonly flows: ReadonlyArray<FlowName>
  readonly address: string
  readonly source: "configured" | "built in" | "from a plugin"
  /** What the configuration would have to say of it, as flags. */
  readonly needs: ReadonlyArray<string>
}

const rowOf = (
  name: string,
  { endpoints, flows, issuer }: ProviderDefinition["record"],
): Pick<Row, "name" | "flows" | "address"> => ({
  name: Account.make(name).toString(),
  flows: (flows ?? []).map((flow) => nameOf[flow]),
  address: issuer ?? endpoints?.token ?? "",
})

/** What is known of a provider that is not configured. */
const knownRow = (known: ProviderDefinition, definitions: ReadonlyArray<ProviderDefinition>): Row => ({
  ...rowOf(known.name, known.record),
  source: sourceOf(known),
  needs: missingOf(known, definitions).map((field) => flagOf[field] ?? field),
})

// A server that said itself where its login is has written its address.
const columns: ReadonlyArray<Table.Column<Row>> = [
  { title: "PROVIDER", cell: ({ name }) => printable(name) },
  { title: "FLOWS", cell: ({ flows }) => flows.join(","), weight: 3 },
  { title: "SOURCE", cell: ({ source }) => (source === "configured" ? "" : source), weight: 2 },
  { title: "NEEDS", cell: ({ needs }) => needs.join(" "), weight: 4 },
  { title: "ADDRESS", cell: ({ address }) => printable(address), weight: 1, least: 16 },
]

const named = (what: string, known: ReadonlyArray<ProviderDefinition>) =>
  known.length === 0 ? "" : `${what}: ${known.map(({ name }) => printable(name)).join(", ")}. `

const list = Command.make(
  "list",
  {
    all: Flag.Boolean("all").pipe(
      Flag.withDescription("Also those that are built in or from a plugin, and what they need"),
      Flag.withDefault(false),
    ),
  },
  Effect.fn("provider.list")(function* ({ all }) {
    yield* here
    const providers = yield* Providers
    const definitions = yield* ProviderDefinitions
    const names = yield* providers.list
    const others = definitions.filter(({ name }) => !names.includes(name))
    if (names.length === 0) yield* Console.error("No provider is configured. Add one with: tokenkeep provider add")
    // One record that cannot be used must not hide the others.
    const configured = yield* Effect.forEach(names, (name) =>
      providers.record(name).pipe(
        Effect.map((record): ReadonlyArray<Row> => [{ ...rowOf(name, record), source: "configured", needs: [] }]),
        Effect.catchTag(["ConfigCorrupt", "ProviderNotConfigured"], ({ message }) =>
          Effect.as(Console.error(message), []),
        ),
      ),
    )
    const known = all ? others.map((definition) => knownRow(definition, definitions)) : []
    const rows = [...configured.flat(), ...known]
    if (yield* Json) return yield* Console.log(ascii({ version: 1, providers: rows }))
    if (rows.length > 0) yield* Table.print(columns, rows)
    if (!all && others.length > 0) {
      const [own, ofPlugins] = [others.filter(isBuiltIn), others.filter((known) => !isBuiltIn(known))]
      yield* Console.error(
        `${named("Built in", own)}${named("From plugins", ofPlugins)}See what they need with: tokenkeep provider list --all`,
      )
    }
  }),
).pipe(Command.withDescription("List the providers"))

const show = Command.make(
  "show",
  { name: Argument.String("name").pipe(Argument.withDescription("What the provider is called")) },
  Effect.fn("provider.show")(function* ({ name }) {
    yield* here
    const providers = yield* Providers
    const found = yield* Effect.result(providers.record(name))
    if (Result.isSuccess(found)) return yield* Console.log(ascii(yield* Effect.orDie(encodeRecord(found.success)), 2))
    // What is known of one that cannot be used yet may be what somebody wants to see.
    const known = yield* providers.definition(name)
    if (found.failure._tag === "ProviderNotConfigured" && Option.isSome(known)) {
      yield* Console.log(ascii(known.value.record, 2))
    }
    return yield* found.failure
  }),
).pipe(Command.withDescription("Print all that is known of a provider, as JSON; a secret is only referred to in it"))

export const provider = Command.make("provider").pipe(
  Command.withDescription("Providers to log in at"),
  Command.withSubcommands([add, list, show, remove]),
)
