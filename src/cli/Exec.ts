/**
 * `exec`: runs a program that may ask for some tokens, for as long as it runs. The host that serves already is asked for a
 * grant; where there is none, this process serves it.
 */
import { Config, Context, Effect, Layer, Option, Path, Redacted, References, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import * as BrokerHost from "../broker/BrokerHost.ts"
import * as EventCommand from "../broker/EventCommand.ts"
import * as GrantsClient from "../client/GrantsClient.ts"
import { Label } from "../domain/Grant.ts"
import { printable } from "../domain/RemoteText.ts"
import { Adoptions } from "../import/Adoptions.ts"
import { Audit } from "../server/Audit.ts"
import { type Granted, Grants, type NewGrant } from "../server/Grants.ts"
import * as GrantsHost from "../server/GrantsHost.ts"
import { PeerCredentials } from "../server/PeerCredentials.ts"
import { Questions } from "../server/Questions.ts"
import * as Ownership from "../system/Ownership.ts"
import { ProcessId } from "../system/ProcessId.ts"
import * as CapabilityFile from "./exec/CapabilityFile.ts"
import * as ChildProcess from "./exec/ChildProcess.ts"
import * as Failures from "./Failures.ts"
import * as GrantTerms from "./grant/GrantTerms.ts"
import { HostAndPort } from "./HostAndPort.ts"
import * as ProcessHygiene from "./ProcessHygiene.ts"
import * as Services from "./Services.ts"
import { UsageError } from "./UsageError.ts"

/** Which of a program's descriptors the capability is behind: the first after the three that all programs have. */
const descriptorNumber = 3

const flags = {
  ...GrantTerms.flags,
  label: GrantTerms.label,
  capability: Flag.Literals("capability", ["fd", "env", "none"]).pipe(
    Flag.withDescription(
      "How the program gets what it must show at the socket: fd, behind descriptor 3, which reaches no container, and nothing that is started by a program in Node; env, in TOKENKEEP_CAPABILITY, where whatever sees the environment sees it too; none, reaching the socket is enough",
    ),
    Flag.withDefault("fd"),
  ),
  tcp: Flag.String("tcp").pipe(
    Flag.withDescription(
      "Over TCP, where no socket can be mounted: at the port of tokenkeep serve, or one of our own; =[ADDRESS:]PORT for that port of our own",
    ),
    Flag.withMetavar("[ADDRESS:]PORT"),
    Flag.withOptionalValue(""),
    Flag.withSchema(Schema.Union([Schema.Literal(""), HostAndPort])),
    Flag.optional,
  ),
  hostSocket: Flag.String("host-socket").pipe(
    Flag.withDescription("The socket of the tokenkeep serve to ask, if not the usual one"),
    Flag.optional,
  ),
}

type Said = { readonly [Name in keyof typeof flags]: (typeof flags)[Name] extends Flag.Flag<infer A> ? A : never }

/** Any port of this machine. */
const anyPort = { host: "127.0.0.1", port: 0 }

/** What cannot be in what was typed. */
const mistakeIn = ({ allow, allowKey, capability, hostSocket, tcp, uid }: Said): string | undefined => {
  if (allow.length === 0 && allowKey.length === 0) {
    return "Nothing is allowed. Name accounts with --allow, or API keys with --allow-key."
  }
  if (Option.isNone(tcp)) return undefined
  if (capability === "none")
    return "Over TCP anybody on the way could ask, so --capability none does not go with --tcp."
  if (uid.some((one) => one !== "any")) return "Over TCP nobody knows which user asks, so --uid does not go with --tcp."
  if (tcp.value !== "" && Option.isSome(hostSocket)) {
    return "The host at --host-socket has a port already, or none. Say --tcp without a port."
  }
  return undefined
}

const isLabel = Schema.is(Label)

/** The command's name and our number, which tells two of them apart. */
const labelFor = Effect.fnUntraced(function* (command: string) {
  const paths = yield* Path.Path
  const label = `${printable(paths.basename(command)).slice(0, 60)}-${yield* ProcessId}`
  return isLabel(label) ? label : `exec-${yield* ProcessId}`
})

/** Grants that this process serves itself. */
const ourselves = Effect.fnUntraced(function* (tcp: Said["tcp"]) {
  const { socketPath } = yield* BrokerConfig
  const paths = yield* Path.Path
  const host = GrantsHost.layer({
    folder: paths.join(paths.dirname(socketPath), "exec"),
    uid: Ownership.uid(),
    rateLimit: 60,
    restoresKept: false,
    ...(Option.isSome(tcp) && { tcp: tcp.value === "" ? anyPort : tcp.value }),
  }).pipe(
    Layer.provide([Questions.layerOff, PeerCredentials.layer, Audit.layerFile({ mode: "on" })]),
    Layer.provide(BrokerHost.layer.pipe(Layer.provide(Adoptions.layerFeeding))),
    Layer.provide(EventCommand.layer),
    Layer.provide(ProcessHygiene.layerForParent),
  )
  return yield* Effect.map(Layer.build(host), Context.get(Grants))
})

const borrowFrom = (path: string, grant: NewGrant) =>
  Effect.flatMap(Layer.build(GrantsClient.layer({ path })), (context) => Context.get(context, Grants).borrow(grant))

/** A grant until the scope closes. A person is not asked from whom: it makes no difference to the program. */
const borrow = Effect.fnUntraced(function* (said: Said, grant: NewGrant) {
  const { socketPath } = yield* BrokerConfig
  const ofOurs = Effect.flatMap(ourselves(said.tcp), (grants) => grants.borrow(grant))
  if (Option.isSome(said.hostSocket)) return yield* borrowFrom(said.hostSocket.value, grant)
  if (Option.exists(said.tcp, (endpoint) => endpoint !== "")) return yield* ofOurs
  const named = yield* Config.option(Config.NonEmptyString("TOKENKEEP_SOCKET"))
  if (Option.isSome(named)) {
    return yield* borrowFrom(named.value, grant).pipe(
      Effect.catchTag(["InvalidRequest", "Unauthorized"], ({ message }) =>
        Effect.fail(
          new UsageError({
            detail: `${message} TOKENKEEP_SOCKET names that host; if this is a sandbox, it cannot give what it was given.`,
          }),
        ),
      ),
    )
  }
  return yield* Effect.catchTag(borrowFrom(socketPath, grant), "HostUnreachable", () => ofOurs)
})

/** What the program finds in its environment, and nothing of what was there under these names before. */
const environmentFor = ({ address, capability }: Granted, how: Said["capability"]) => ({
  TOKENKEEP_SOCKET: address,
  // The name by which other programs that speak the wire know a socket.
  LLXPRT_CREDENTIAL_SOCKET: address.startsWith("tcp://") ? undefined : address,
  TOKENKEEP_CAPABILITY_FD: how === "fd" && Option.isSome(capability) ? String(descriptorNumber) : undefined,
  TOKENKEEP_CAPABILITY: how === "env" ? Option.getOrUndefined(Option.map(capability, Redacted.value)) : undefined,
})

/** In the good case nothing is said: stdout and stderr are the program's. */
const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(References.MinimumLogLevel, (level) =>
    Effect.provideService(effect, References.MinimumLogLevel, level === "Info" ? "Warn" : level),
  )

const run = Effect.fnUntraced(function* (said: Said, command: string, args: ReadonlyArray<string>) {
  const mistake = mistakeIn(said)
  if (mistake !== undefined) return yield* new UsageError({ detail: mistake })
  const { socketPath } = yield* BrokerConfig
  const paths = yield* Path.Path
  const isTcp = Option.isSome(said.tcp)
  const label = Option.isSome(said.label) ? said.label.value : yield* labelFor(command)
  const granted = yield* borrow(said, {
    terms: yield* GrantTerms.make(said, label, isTcp ? "any" : GrantTerms.ownUids()),
    transport: isTcp ? "tcp" : "unix",
    hasCapability: said.capability !== "none",
    isKept: false,
  })
  const folder = paths.dirname(socketPath)
  const behind = said.capability === "fd" ? granted.capability : Option.none()
  const descriptor = yield* Effect.transposeOption(
    Option.map(behind, (capability) => CapabilityFile.open(folder, capability)),
  )
  yield* ChildProcess.run({
    command,
    args,
    environment: environmentFor(granted, said.capability),
    descriptor,
  })
}, Effect.scoped)

export const exec = Command.make(
  "exec",
  {
    ...flags,
    command: Argument.String("command").pipe(
      Argument.withDescription("The program; -- goes before it, so that its flags are not taken for ours"),
    ),
    args: Argument.String("args").pipe(Argument.withDescription("Its arguments"), Argument.variadic()),
  },
  ({ args, command, ...said }) =>
    run(said, command, args).pipe(
      quietly,
      Effect.provide([Services.places, SecureRandom.layerWebCrypto]),
      Effect.mapError((error) =>
        error._tag === "NotStarted"
          ? error
          : new ChildProcess.NotStarted({ exitCode: 125, detail: Failures.inWords(error) }),
      ),
    ),
).pipe(
  Command.withShortDescription("Run a program that may ask for some tokens, for as long as it runs"),
  Command.withDescription(
    "Run a program that may ask for some tokens, for as long as it runs. It finds where to ask in TOKENKEEP_SOCKET and LLXPRT_CREDENTIAL_SOCKET. It has our terminal, folder and environment, and gets our signals. Its exit code is ours: 128 and the number of the signal, if one ended it; 127 if there is no such program, 126 if it cannot be run, 125 if tokenkeep itself failed before, whatever the reason.",
  ),
  Command.withExamples([
    { command: "tokenkeep exec --allow github -- ./deploy.sh" },
    { command: "tokenkeep exec --allow anthropic:work,github --for 8h --capability env -- claude" },
    {
      command: `tokenkeep exec --allow github --capability env -- sh -c 'docker run --rm -u "$(id -u)" -v "$TOKENKEEP_SOCKET:/tokenkeep.sock" -e TOKENKEEP_SOCKET=/tokenkeep.sock -e TOKENKEEP_CAPABILITY agent'`,
    },
  ]),
)
