#!/usr/bin/env node
/**
 * The scripted server as a program of its own, for clients that are not written in TypeScript: `tokenkeep-testing-server`.
 *
 * On stdout there are only lines of JSON: first where it listens and who its client is, then every call of its token
 * endpoint. Somebody sits in front of the browser and answers at once.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Deferred, Duration, Effect, Exit, Layer, Logger, Option, Redacted } from "effect"
import { CliOutput, Command, Flag } from "effect/cli"
import { version } from "../version.ts"
import { lineOf } from "./Journal.ts"
import { Script } from "./Script.ts"
import { ScriptedProvider } from "./ScriptedProvider.ts"
import * as ScriptedServer from "./ScriptedServer.ts"
import * as ServerMetadata from "./ServerMetadata.ts"

const seconds = (name: string, description: string, fallback: number) =>
  Flag.Int(name).pipe(Flag.withDescription(description), Flag.withMetavar("SECONDS"), Flag.withDefault(fallback))

const lifetime = (name: string, description: string, fallback: number) =>
  seconds(name, description, fallback).pipe(
    Flag.filter(
      (count) => count >= 0,
      () => "a number of seconds that is not negative",
    ),
    Flag.map(Duration.seconds),
  )

const flags = {
  port: Flag.Int("port").pipe(
    Flag.withDescription("Where to listen on 127.0.0.1; 0 is any free port"),
    Flag.withDefault(0),
  ),
  rotation: Flag.Literals("rotation", ["rotate", "keep"]).pipe(
    Flag.withDescription("Whether a refresh brings a new refresh token"),
    Flag.withDefault("rotate"),
  ),
  grace: lifetime("grace", "For how long the previous refresh token still works", 0),
  reuse: Flag.Literals("reuse", ["revoke-family", "refuse"]).pipe(
    Flag.withDescription("What a refresh token that was used before does to its login"),
    Flag.withDefault("revoke-family"),
  ),
  accessTokenLifetime: lifetime("access-token-lifetime", "What expires_in says", 3600),
  metadataIssuer: Flag.String("metadata-issuer").pipe(
    Flag.withDescription("The issuer that the metadata names, if not the true one"),
    Flag.optional,
  ),
  clockSkew: seconds("clock-skew", "How far the Date of every answer is ahead", 0).pipe(Flag.map(Duration.seconds)),
  script: Flag.String("script").pipe(
    Flag.withDescription("What happens to the first refreshes, in turn, like drop,429:120,ok"),
    Flag.withSchema(Script),
    Flag.optional,
  ),
  person: Flag.Literals("person", ["grants", "denies"]).pipe(
    Flag.withDescription("What the person says to every login"),
    Flag.withDefault("grants"),
  ),
  clientId: Flag.String("client-id").pipe(
    Flag.withDescription("Who the client is"),
    Flag.withDefault("scripted-client"),
  ),
  clientSecret: Flag.String("client-secret").pipe(
    Flag.withDescription("The client's secret"),
    Flag.withDefault("client-secret"),
  ),
  publicClient: Flag.Boolean("public-client").pipe(
    Flag.withDescription("The client has no secret"),
    Flag.withDefault(false),
  ),
}

const announcementOf = ({ clientId, issuer, secret }: ScriptedProvider["Service"]["provider"]): string => {
  const { authorization, deviceAuthorization, resource, token } = ServerMetadata.urlsOf(issuer)
  return JSON.stringify({
    issuer,
    port: Number(new URL(issuer).port),
    client_id: clientId,
    client_secret: Option.getOrNull(Option.map(secret, Redacted.value)),
    authorization_endpoint: authorization,
    token_endpoint: token,
    device_authorization_endpoint: deviceAuthorization,
    resource,
  })
}

const server = Command.make(
  "tokenkeep-testing-server",
  flags,
  Effect.fn("tokenkeep-testing-server")(function* ({ clientSecret, metadataIssuer, publicClient, script, ...options }) {
    // With a port that was known before, a call may come before the line that says where it is.
    const announced = yield* Deferred.make<void>()
    const listening = ScriptedServer.layer({
      ...options,
      metadataIssuer: Option.getOrUndefined(metadataIssuer),
      script: Option.getOrElse(script, () => []),
      clientSecret: publicClient ? Option.none() : Option.some(Redacted.make(clientSecret)),
      idTokens: false,
      onCall: (call) => Effect.andThen(Deferred.await(announced), Console.log(lineOf(call))),
    })
    const announce = Effect.gen(function* () {
      const { provider } = yield* ScriptedProvider
      yield* Console.log(announcementOf(provider))
      yield* Deferred.succeed(announced, undefined)
    })
    return yield* Layer.launch(Layer.effectDiscard(announce).pipe(Layer.provide(listening)))
  }),
).pipe(
  Command.withDescription("An authorization server that behaves as badly as it is told to"),
  Command.withExamples([{ command: "tokenkeep-testing-server --grace 30 --script drop,429:120,ok" }]),
)

/** On stdout there is nothing but JSON: a help that was not asked for is said on stderr. */
const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Console.error(CliOutput.defaultFormatter({ colors: false }).formatErrors(event.errors).trim())
      : CliOutput.defaultPresenter.present(event),
}

server.pipe(
  Command.run({ version }),
  Effect.as(0),
  Effect.catch((error) =>
    "errors" in error ? Effect.succeed(2) : Effect.as(Console.error(`tokenkeep-testing-server: ${error.message}`), 1),
  ),
  Effect.catchDefect((defect) => Effect.as(Effect.logError(defect), 1)),
  Effect.provide(
    Layer.mergeAll(
      NodeServices.layer,
      Layer.succeed(CliOutput.Presenter, presenter),
      Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]),
    ),
  ),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit) =>
      process.exit(
        Exit.match(exit, {
          onSuccess: (code) => (typeof code === "number" ? code : 0),
          // Being stopped is how a server ends well.
          onFailure: () => (Exit.hasInterrupts(exit) ? 0 : 1),
        }),
      ),
  }),
)
