/**
 * opencode: `auth.json` in its data folder, with one entry for each provider. Its expiry 0 means never.
 *
 * The file is in anomalyco/opencode `packages/opencode/src/auth/index.ts`. Its Copilot entry has a GitHub token twice, or, as
 * other versions have it, a GitHub token and a Copilot token. On trust: that an empty refresh token is put up with as long as
 * the access token is good.
 */
import { DateTime, Option, Schema } from "effect"
import { type Content, contentOf, decoder, type Entry, expiryOf, Text, textOf, Time } from "./LoginEntry.ts"
import { dataHome, join } from "./Machine.ts"
import type { Tool } from "./Tool.ts"

const decode = decoder(Schema.Record(Schema.String, Schema.Unknown))

const decodeEntry = Schema.decodeUnknownOption(
  Schema.Struct({
    type: Schema.String,
    refresh: Text,
    access: Text,
    expires: Time,
    accountId: Text,
    enterpriseUrl: Text,
  }),
)

/** Its names for providers that are built in here. */
const providers: { readonly [name: string]: { readonly provider: string; readonly rotates: boolean } | undefined } = {
  anthropic: { provider: "anthropic", rotates: true },
  openai: { provider: "codex", rotates: true },
  "github-copilot": { provider: "copilot", rotates: false },
}

/** That of an enterprise has a name of its own. */
const isCopilot = (name: string) => name.startsWith("github-copilot")

const contentIn = (name: string, login: Option.Option.Value<ReturnType<typeof decodeEntry>>): Content => {
  if (login.type === "api")
    return { _tag: "Dead", why: "it is an API key, not a login: keep it with tokenkeep key set" }
  if (login.type !== "oauth") return { _tag: "Dead", why: "it is of a kind that is not known here" }
  const isNever = Number(login.expires) === 0 && login.expires !== null && login.expires !== undefined
  if (isCopilot(name)) {
    const githubToken = textOf(login.refresh) ?? login.access
    // A GitHub token is not what is handed out.
    const copilotToken = login.access === githubToken ? undefined : login.access
    return contentOf({ accessToken: copilotToken, refreshToken: githubToken, expiry: expiryOf(login.expires) })
  }
  return contentOf({
    accessToken: login.access,
    refreshToken: login.refresh,
    expiry: isNever ? "never" : expiryOf(login.expires),
    extras: { account_id: textOf(login.accountId) },
  })
}

const read = (text: string) =>
  Option.map(decode(text), (entries): ReadonlyArray<Entry> =>
    Object.entries(entries).map(([name, value]) => {
      const known = Object.hasOwn(providers, name) ? providers[name] : undefined
      const login = decodeEntry(value)
      if (Option.isNone(login)) {
        const why = "it is of a kind that is not known here"
        return { entry: name, account: name, rotates: false, content: { _tag: "Dead", why } }
      }
      const isEnterprise = textOf(login.value.enterpriseUrl) !== undefined
      const content = contentIn(name, login.value)
      return {
        entry: name,
        account: name,
        ...(known !== undefined && !isEnterprise && { provider: known.provider }),
        // Of a provider that is not known the worst is assumed.
        rotates:
          content._tag === "Token" && content.token.refreshToken !== undefined && (known?.rotates ?? !isCopilot(name)),
        content,
      }
    }),
  )

export const openCode: Tool = {
  name: "opencode",
  title: "opencode",
  places: (machine) => [{ path: join(dataHome(machine), "opencode", "auth.json"), read }],
  shape: (entry) => ({
    refreshToken: [entry, "refresh"],
    accessToken: [entry, "access"],
    kind: [[entry, "type"], "oauth"],
    besides: ({ expiresAt }) =>
      expiresAt === undefined ? [] : [[[entry, "expires"], DateTime.toEpochMillis(expiresAt)]],
  }),
}
