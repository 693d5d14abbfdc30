/**
 * `login`: begins a login, tells the person what to do, and waits for it. Everything is said on stderr.
 */
import { Console, Data, DateTime, Effect, Option, Redacted, Schedule, Stdio, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Broker, type CallError, type InitiatedLogin } from "../broker/Broker.ts"
import { ProviderDefinitions } from "../providers/ProviderDefinitions.ts"
import * as Account from "../domain/AccountKey.ts"
import type { AccountKey } from "../domain/AccountKey.ts"
import { type ProviderNotConfigured, SessionExpired } from "../domain/Errors.ts"
import { loginCommand } from "../domain/LoginCommand.ts"
import { printable } from "../domain/RemoteText.ts"
import type { FlowType } from "../domain/Session.ts"
import type { PublicToken } from "../domain/Token.ts"
import * as SecureUrl from "../oauth/SecureUrl.ts"
import { account } from "./AccountArgument.ts"
import { flowNames } from "./FlowName.ts"
import * as Browser from "./Browser.ts"
import { nearestTo } from "./NearestName.ts"
import { inWords } from "./TimeLeft.ts"
import { UsageError } from "./UsageError.ts"

export const login = Command.make(
  "login",
  {
    account: Argument.optional(account),
    flow: Flag.Literals("flow", ["browser", "device", "paste"]).pipe(
      Flag.withDescription("How to grant access; by default the provider's first flow"),
      Flag.optional,
    ),
    noBrowser: Flag.Boolean("no-browser").pipe(
      Flag.withDescription("Only print the address, do not open it"),
      Flag.withDefault(false),
    ),
  },
  Effect.fn("login")(function* (input) {
    const broker = yield* Broker
    const account = yield* Option.match(input.account, { onNone: () => onlyProvider, onSome: Effect.succeed })
    const flow = Option.map(input.flow, (name): FlowType => flowNames[name])
    const begun = yield* Effect.catchTag(
      broker.initiate(account, Option.isSome(flow) ? { flow: flow.value } : {}),
      "ProviderNotConfigured",
      orNearest(account),
    )
    if (Option.isSome(begun.notice)) yield* Console.error(`Note: ${begun.notice.value}`)
    const token = yield* finish(begun, account, input.noBrowser).pipe(
      Effect.onInterrupt(() =>
        Effect.andThen(Effect.ignore(broker.cancel(begun.sessionId)), Console.error("\nThe login was cancelled.")),
      ),
    )
    yield* Console.error(`Logged in as ${printable(account.toString())}. ${validity(token, yield* DateTime.now)}`)
  }),
).pipe(
  Command.withDescription("Log in at a provider"),
  Command.withExamples([
    { command: "tokenkeep login example" },
    { command: "tokenkeep login example:work --flow device --no-browser" },
  ]),
)

/** The account of the only provider there is. */
const onlyProvider: Effect.Effect<AccountKey, UsageError | CallError, Broker> = Effect.gen(function* () {
  const broker = yield* Broker
  const [only, ...others] = yield* broker.listProviders
  if (only === undefined) {
    return yield* new UsageError({ detail: "No provider is configured. Add one with: tokenkeep provider add" })
  }
  if (others.length > 0) {
    const names = [only, ...others].map(printable).join(", ")
    return yield* new UsageError({ detail: `Which provider? Name one of: ${names}` })
  }
  return Account.make(only)
})

/** No provider is called that, and another nearly is. */
export class ProviderMistyped extends Data.TaggedError("ProviderMistyped")<{ readonly message: string }> {}

const orNearest = ({ bucket }: AccountKey) =>
  Effect.fnUntraced(function* (unknown: ProviderNotConfigured) {
    if (unknown.missing !== undefined) return yield* unknown
    const broker = yield* Broker
    const configured = yield* Effect.orElseSucceed(broker.listProviders, () => [])
    const known = (yield* ProviderDefinitions).map(({ name }) => name)
    const nearest = nearestTo(unknown.provider, [...configured, ...known])
    if (nearest === undefined) return yield* unknown
    return yield* new ProviderMistyped({
      message: `${unknown.message}. If you meant ${printable(nearest)}, log in with: ${loginCommand(Account.make(nearest, bucket))}`,
    })
  })

const validity = (token: PublicToken, now: DateTime.Utc): string =>
  token.expiresAt === undefined
    ? "The access token has no expiry."
    : `The access token is valid for ${inWords(DateTime.distance(now, token.expiresAt))}.`

const finish = Effect.fnUntraced(function* (begun: InitiatedLogin, account: AccountKey, noBrowser: boolean) {
  const time = inWords(begun.expiresIn)
  yield* begun.flowType === "device_code"
    ? showDeviceCode(begun, time, noBrowser)
    : showPage(begun, account, time, noBrowser)
  return yield* begun.flowType === "pkce_redirect" ? exchangePasted(begun) : waitForGrant(begun)
})

const showDeviceCode = Effect.fnUntraced(function* (begun: InitiatedLogin, time: string, noBrowser: boolean) {
  const device = Option.getOrUndefined(begun.device)
  yield* Console.error(`
To log in, open   ${address(device?.verificationUri ?? begun.authUrl)}
and enter         ${device?.userCode ?? ""}

Enter it only because you have just started this login yourself.
Waiting for you; the code lives for ${time}. Ctrl-C cancels.`)
  if (!noBrowser) yield* Browser.open(begun.authUrl)
})

/** What a person sees of it is the provider's page; nothing comes back to this program. */
const redirectHint = `
If the page complains about the redirect URI: register http://127.0.0.1/callback at the provider, and say the same here, with
--redirect-uri http://127.0.0.1/callback at tokenkeep provider add, or as its redirectUris in the configuration.`

const showPage = Effect.fnUntraced(function* (
  begun: InitiatedLogin,
  account: AccountKey,
  time: string,
  noBrowser: boolean,
) {
  // Where tokenkeep has registered itself there is nothing for a person to register.
  const isOwnClient = begun.flowType === "browser_redirect" && !Account.isAddress(account.provider)
  yield* Console.error(`
To log in, open this address in a browser:

${address(begun.authUrl)}

You have ${time}. Ctrl-C cancels.${isOwnClient ? redirectHint : ""}`)
  if (!noBrowser) yield* Browser.open(begun.authUrl)
})

/** An address as it may be printed; it may come from a host that is not ours. */
const address = (url: string): string =>
  Option.match(SecureUrl.parse(url), {
    onNone: () => "(the address is not one that may be opened)",
    onSome: (u) => u.href,
  })

/** The host is still waiting for the person. */
export class StillPending extends Data.TaggedError("StillPending")<{}> {}

/** Asks again for as long as the host is waiting. Only the host asks the provider, so asking it often harms nobody. */
const pollPace = Schedule.spaced("1 second").pipe(
  Schedule.setInputType<{ readonly _tag: string }>(),
  Schedule.while(({ input }) => input._tag === "StillPending"),
)

const waitForGrant = Effect.fnUntraced(function* ({ sessionId }: InitiatedLogin) {
  const broker = yield* Broker
  return yield* broker.poll(sessionId).pipe(
    Effect.flatMap((progress) =>
      progress.status === "complete" ? Effect.succeed(progress.token) : Effect.fail(new StillPending()),
    ),
    Effect.retry(pollPace),
    Effect.catchTag("StillPending", () => Effect.die("polling never ends while it is pending")),
  )
})

const exchangePasted = Effect.fnUntraced(function* ({ expiresIn, sessionId }: InitiatedLogin) {
  const broker = yield* Broker
  yield* Console.error("Paste the code, or the address of the page that you end on, and press Enter:")
  const { stdin } = yield* Stdio.Stdio
  const line = yield* stdin.pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.runHead,
    Effect.timeoutOrElse({ duration: expiresIn, orElse: () => Effect.fail(SessionExpired.make({ sessionId })) }),
  )
  const pasted = Option.filter(line, (text) => text.trim() !== "")
  if (Option.isNone(pasted)) return yield* new UsageError({ detail: "Nothing was pasted. Begin a new login." })
  return yield* broker.exchange(sessionId, Redacted.make(pasted.value))
})
