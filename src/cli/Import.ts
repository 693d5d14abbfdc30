/**
 * `import`: shows the logins of other tools on this machine, takes one over, and gives an adopted one back.
 */
import { Console, DateTime, Effect, Layer, Option } from "effect"
import { Argument, Command, Flag, Prompt } from "effect/cli"
import { ascii } from "../domain/AsciiJson.ts"
import { AccountKeyFromString, type AccountKey } from "../domain/AccountKey.ts"
import { loginCommand } from "../domain/LoginCommand.ts"
import { oneLine, printable } from "../domain/RemoteText.ts"
import { type Adoption, Adoptions, accountOf } from "../import/Adoptions.ts"
import { type Found, type FoundLogin, Search, sharers } from "../import/Search.ts"
import { ImportRefused, type Returned, Takeover } from "../import/Takeover.ts"
import { toolCalled, tools } from "../import/Tools.ts"
import { fingerprintOf } from "../system/Sha256.ts"
import { Json } from "./GlobalFlags.ts"
import { instant } from "./Instant.ts"
import { onHost } from "./OnHost.ts"
import * as Prompts from "./Prompts.ts"
import * as Screen from "./Screen.ts"
import * as Services from "./Services.ts"
import * as Table from "./Table.ts"
import { inWords } from "./DurationInWords.ts"
import { UsageError } from "./UsageError.ts"

/** What to do with a refresh token that is good once. */
type Way = "anew" | "adopt" | "take"

const toolNames = tools.map(({ name }) => name).join(", ")

export const importing = Command.make(
  "import",
  {
    login: Argument.String("login").pipe(
      Argument.withDescription(`The login to take over: TOOL or TOOL:ACCOUNT, as listed. Tools: ${toolNames}`),
      Argument.optional,
    ),
    as: Flag.String("as").pipe(
      Flag.withDescription("What it is called here: a provider, or provider:bucket"),
      Flag.withSchema(AccountKeyFromString),
      Flag.optional,
    ),
    adopt: Flag.Boolean("adopt").pipe(
      Flag.withDescription(
        "Move it: the tool keeps an access token only, which tokenkeep keeps fresh in the tool's file",
      ),
      Flag.withDefault(false),
    ),
    take: Flag.Boolean("take").pipe(
      Flag.withDescription("Copy it, though the first of the two that refreshes it logs the other one out"),
      Flag.withDefault(false),
    ),
    replace: Flag.Boolean("replace").pipe(
      Flag.withDescription("Replace the login that is here already"),
      Flag.withDefault(false),
    ),
    undo: Flag.Boolean("undo").pipe(
      Flag.withDescription("Give a login that was adopted back to its tool, and forget it here"),
      Flag.withDefault(false),
    ),
  },
  Effect.fn("import")(function* ({ adopt, as, login, replace, take, undo }) {
    yield* onHost("Logins")
    if (adopt && take) return yield* new UsageError({ detail: "Either --adopt or --take, not both." })
    const takeover = yield* Takeover
    // What another process began and did not finish.
    yield* Effect.catch(takeover.settle, (error) => Effect.logWarning(error.message))
    if (Option.isNone(login)) {
      if (adopt || take || replace || undo || Option.isSome(as)) {
        return yield* new UsageError({ detail: "Which login? See them with: tokenkeep import" })
      }
      return yield* show(yield* Json)
    }
    if (undo) return yield* giveBack(login.value)
    const way: Way | undefined = adopt ? "adopt" : take ? "take" : undefined
    return yield* takeOver(login.value, as, way, replace)
  }),
).pipe(
  Command.withDescription("Find the logins of other tools on this machine, and take one over"),
  Command.withExamples([
    { command: "tokenkeep import" },
    { command: "tokenkeep import gh" },
    { command: "tokenkeep import claude --adopt" },
    { command: "tokenkeep import --undo claude" },
  ]),
  Command.provide(
    Layer.mergeAll(Takeover.layer, Search.layer, Adoptions.layer).pipe(Layer.provideMerge(Services.local)),
  ),
)

/** `TOOL` or `TOOL:ACCOUNT`. */
const splitLogin = (text: string) => {
  const colon = text.indexOf(":")
  return colon === -1
    ? { tool: text, account: undefined }
    : { tool: text.slice(0, colon), account: text.slice(colon + 1) }
}

/** The one that is meant. */
const pick = Effect.fnUntraced(function* <A extends { readonly account: string }>(
  text: string,
  all: ReadonlyArray<A>,
  toolOf: (one: A) => string,
) {
  const { account, tool } = splitLogin(text)
  if (toolCalled(tool) === undefined) {
    return yield* new UsageError({ detail: `There is no tool ${printable(tool)} here. Tools: ${toolNames}` })
  }
  const ofTool = all.filter((one) => toolOf(one) === tool)
  const [only, ...others] = account === undefined ? ofTool : ofTool.filter((one) => one.account === account)
  if (only === undefined) return undefined
  if (others.length > 0) {
    const names = ofTool.map((one) => printable(`${tool}:${one.account}`)).join(", ")
    return yield* new UsageError({ detail: `Which of them? Name one: ${names}` })
  }
  return only
})

const takeOver = Effect.fnUntraced(function* (
  text: string,
  as: Option.Option<AccountKey>,
  asked: Way | undefined,
  replace: boolean,
) {
  const search = yield* Search
  const takeover = yield* Takeover
  const adoptions = yield* Adoptions
  const { logins } = yield* search.find
  const login = yield* pick(text, logins, ({ tool }) => tool.name)
  if (login === undefined) {
    return yield* new ImportRefused({
      detail: `No login ${printable(text)} was found. See those there are with: tokenkeep import`,
    })
  }
  const account = Option.getOrUndefined(Option.orElse(as, () => login.suggestion))
  if (account === undefined) {
    return yield* new UsageError({
      detail: `${printable(text)} is a login at a provider that is not known here. Name the one that is configured here with --as.`,
    })
  }
  const adopted = (yield* adoptions.list).find((one) => isAdoptionOf(one, login))
  if (adopted !== undefined) {
    return yield* Console.error(
      `${login.tool.title}: the login is adopted as ${printable(accountOf(adopted).toString())} already. Give it back with: tokenkeep import --undo ${printable(text)}`,
    )
  }
  if (login.state === "dead") {
    return yield* new ImportRefused({
      detail: `There is nothing to take over of ${login.tool.title}: ${Option.getOrElse(login.why, () => "the login is dead")}. Nothing was changed; log in anew with: ${loginCommand(account)}`,
    })
  }
  const needsWord = login.rotates && login.state !== "access only"
  if (!needsWord) {
    if (asked === "adopt") {
      return yield* new UsageError({
        detail: `The token of ${printable(text)} does not change when it is used, so there is nothing to adopt: both may have it. Leave --adopt away.`,
      })
    }
    yield* takeover.take(login, account, replace)
    return yield* said(login, account, "It has the login too.")
  }
  const way = asked ?? (yield* ask(login, account))
  switch (way) {
    case "anew":
      return yield* Console.error(`Nothing was changed. Log in anew with: ${loginCommand(account)}`)
    case "take":
      yield* takeover.take(login, account, replace)
      return yield* said(
        login,
        account,
        "It has the login too, until one of the two refreshes it: that logs out the other.",
      )
    case "adopt": {
      const [sharer] = sharers(login, logins)
      if (sharer !== undefined) {
        return yield* new ImportRefused({
          detail: `${sharer.tool.title} has the same login, in ${oneLine(sharer.path)}, and would still have its refresh token. Nothing was changed; log in anew with: ${loginCommand(account)}`,
        })
      }
      yield* takeover.adopt(login, account, replace)
      return yield* said(
        login,
        account,
        `It has an access token only from now on; end it, if it runs now. Keep tokenkeep serve running, which renews the token in ${oneLine(login.path)}. Give it back with: tokenkeep import --undo ${printable(text)}`,
      )
    }
  }
})

const said = (login: FoundLogin, account: AccountKey, more: string) =>
  Console.error(`Took over the login of ${login.tool.title} as ${printable(account.toString())}. ${more}`)

const explanation = (login: FoundLogin) =>
  `The refresh token of ${login.tool.title} is good once: if ${login.tool.title} and tokenkeep both have it, the first that uses it logs the other out.`

/** Asks a person, on stderr; without one, nothing is done. */
export const ask = Effect.fnUntraced(function* (
  login: FoundLogin,
  account: AccountKey,
): Effect.fn.Return<Way, UsageError, Effect.Services<typeof Screen.canAsk> | Prompt.Environment> {
  const canAdopt = login.tool.shape !== undefined && login.content._tag === "Token"
  if (!(yield* Screen.canAsk)) {
    const adopting = canAdopt ? "; or move the login with --adopt" : ""
    return yield* new UsageError({
      detail: `${explanation(login)} Nothing was changed. Log in anew with: ${loginCommand(account)}${adopting}; or have it twice all the same with --take.`,
    })
  }
  yield* Console.error(explanation(login))
  return yield* Prompts.putOrEnd(
    Prompt.Select<Way>({
      message: `The login of ${login.tool.title}`,
      choices: [
        { title: `log in anew (${loginCommand(account)}); nothing is taken over`, value: "anew" },
        ...(canAdopt
          ? [
              {
                title: `move it here; ${login.tool.title} keeps an access token that is kept fresh`,
                value: "adopt" as const,
              },
            ]
          : []),
        { title: "copy it; the first that refreshes logs the other out", value: "take" },
      ],
    }),
    "Nothing was changed.",
  )
})

const giveBack = Effect.fnUntraced(function* (text: string) {
  const adoptions = yield* Adoptions
  const takeover = yield* Takeover
  const adoption = yield* pick(text, yield* adoptions.list, ({ tool }) => tool)
  if (adoption === undefined) {
    return yield* new ImportRefused({
      detail: `No login of ${printable(text)} was adopted. Nothing was changed; one that was copied is forgotten with: tokenkeep logout`,
    })
  }
  const account = accountOf(adoption)
  const returned = yield* takeover.undo(account)
  yield* Console.error(outcome(returned, adoption, printable(account.toString())))
})

const outcome = (returned: Returned, { tool, path }: Adoption, name: string): string => {
  const title = toolCalled(tool)?.title ?? printable(tool)
  switch (returned._tag) {
    case "Returned":
      return `${title} has its login again, in ${oneLine(path)}; ${name} is forgotten here.${
        returned.isSpent ? " Its last refresh here did not end well: the tool may want a new login." : ""
      }`
    case "KeptApart":
      return `${title} has a login of its own, which was left as it is; that of ${name} is kept here.`
    case "NothingHere":
      return `Nobody is logged in as ${name} here any more, so there is nothing to give back. Log in anew with ${title}.`
  }
}

const isAdoptionOf = (adoption: Adoption, login: Pick<FoundLogin, "path" | "entry">) =>
  adoption.ended === undefined &&
  adoption.returning === undefined &&
  adoption.path === login.path &&
  adoption.entry === login.entry

const show = Effect.fnUntraced(function* (json: boolean) {
  const search = yield* Search
  const adoptions = yield* Adoptions
  const found = yield* search.find
  const adopted = yield* adoptions.list
  if (json) return yield* Console.log(ascii(yield* toJson(found, adopted)))
  const now = yield* DateTime.now
  if (found.logins.length === 0) yield* Console.error("No login of another tool was found.")
  else {
    yield* Table.print(columns(adopted, now), found.logins)
  }
  for (const login of found.logins) {
    if (Option.isSome(login.why) && !adopted.some((one) => isAdoptionOf(one, login))) {
      yield* Console.error(`${printable(`${login.tool.name}:${login.account}`)}: ${login.why.value}`)
    }
  }
  const usable = found.logins.find(
    (login) => login.state === "usable" && !adopted.some((one) => isAdoptionOf(one, login)),
  )
  if (usable !== undefined) {
    yield* Console.error(
      `Take one over with: tokenkeep import ${usable.tool.name}, or, for its tool to go on with it, --adopt`,
    )
  }
  for (const { detail } of found.remarks) yield* Console.error(`Note: ${detail}`)
  for (const { account, ended, tool } of adopted) {
    if (ended === undefined) continue
    const name = printable(`${tool}:${account}`)
    yield* Console.error(
      `Note: ${name} is no longer adopted: ${ended.why}. Clear this with: tokenkeep import --undo ${name}`,
    )
  }
})

const columns = (adopted: ReadonlyArray<Adoption>, now: DateTime.Utc): ReadonlyArray<Table.Column<FoundLogin>> => {
  const adoptionOf = (login: FoundLogin) => adopted.find((one) => isAdoptionOf(one, login))
  return [
    { title: "TOOL", cell: ({ tool }) => tool.name },
    { title: "ACCOUNT", cell: ({ account }) => printable(account), least: 12 },
    {
      title: "PROVIDER",
      cell: (login) => {
        const adoption = adoptionOf(login)
        const account = adoption === undefined ? login.suggestion : Option.some(accountOf(adoption))
        return Option.match(account, { onNone: () => "", onSome: (account) => printable(account.toString()) })
      },
      weight: 4,
    },
    { title: "STATE", cell: (login) => (adoptionOf(login) === undefined ? login.state : "adopted"), weight: 3 },
    { title: "EXPIRES", cell: (login) => expiry(login, now), weight: 2 },
    { title: "WHERE", cell: ({ path }) => oneLine(path), weight: 1, least: 16 },
  ]
}

const expiry = ({ content }: FoundLogin, now: DateTime.Utc): string => {
  if (content._tag !== "Token") return "-"
  const { expiresAt, refreshToken } = content.token
  if (expiresAt === undefined) return "never"
  if (DateTime.isGreaterThan(expiresAt, now)) return `in ${inWords(DateTime.distance(now, expiresAt))}`
  return refreshToken === undefined ? "expired" : "refreshed on use"
}

const toJson = Effect.fnUntraced(function* (found: Found, adopted: ReadonlyArray<Adoption>) {
  const logins = yield* Effect.forEach(
    found.logins,
    Effect.fnUntraced(function* ({ account, content, entry, path, rotates, state, suggestion, tool, why }) {
      const adoption = adopted.find((one) => isAdoptionOf(one, { path, entry }))
      const token = content._tag === "Token" ? content.token : undefined
      return {
        tool: tool.name,
        account,
        ...(Option.isSome(suggestion) && { provider: suggestion.value.provider, bucket: suggestion.value.bucket }),
        state: adoption === undefined ? state.replace(" ", "_") : "adopted",
        ...(Option.isSome(why) && { why: why.value }),
        rotates,
        ...(token !== undefined && {
          refreshable: token.refreshToken !== undefined,
          accessTokenFingerprint: fingerprintOf(token.accessToken),
          ...(token.refreshToken !== undefined && {
            refreshTokenFingerprint: fingerprintOf(token.refreshToken),
          }),
          ...instant("expiresAt", Option.fromUndefinedOr(token.expiresAt)),
        }),
        ...(adoption !== undefined && { adoptedAs: accountOf(adoption).toString() }),
        path,
      }
    }),
  )
  return {
    version: 1,
    logins,
    notes: found.remarks.map(({ detail, path, tool }) => ({ tool: tool.name, path, note: detail })),
    ended: adopted.flatMap((adoption) =>
      adoption.ended === undefined
        ? []
        : [
            {
              tool: adoption.tool,
              account: adoption.account,
              adoptedAs: accountOf(adoption).toString(),
              ...instant("at", Option.some(adoption.ended.at)),
              why: adoption.ended.why,
            },
          ],
    ),
  }
})
