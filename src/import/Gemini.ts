/**
 * Gemini CLI: `.gemini/oauth_creds.json`, or an encrypted file. Google's refresh tokens stay the same, so two may hold one.
 *
 * Sources: google-gemini/gemini-cli `packages/core/src/code_assist/oauth2.ts`, `oauth-credential-storage.ts`, and
 * `packages/core/src/services/fileKeychain.ts`.
 */
import { Option, Schema } from "effect"
import { contentOf, decoder, type Entry, expiryOf, Text, textOf, Time } from "./LoginEntry.ts"
import { join } from "./Machine.ts"
import type { Tool } from "./Tool.ts"

const decode = decoder(
  Schema.Struct({
    access_token: Text,
    refresh_token: Text,
    scope: Text,
    token_type: Text,
    id_token: Text,
    expiry_date: Time,
  }),
)

const common = { entry: "oauth", provider: "gemini", rotates: false }

const read = (text: string) =>
  Option.map(decode(text), (login): ReadonlyArray<Entry> => {
    const content = contentOf({
      accessToken: login.access_token,
      refreshToken: login.refresh_token,
      expiry: expiryOf(login.expiry_date),
      scope: textOf(login.scope),
      tokenType: login.token_type,
      extras: { id_token: textOf(login.id_token) },
    })
    return [{ ...common, content }]
  })

const decodeAccounts = decoder(Schema.Struct({ active: Text }))

export const gemini: Tool = {
  name: "gemini",
  title: "Gemini CLI",
  places: ({ home, variables }) => {
    const folder = join(variables.GEMINI_CLI_HOME ?? home, ".gemini")
    const owner = {
      path: join(folder, "google_accounts.json"),
      read: (text: string) => textOf(Option.getOrUndefined(decodeAccounts(text))?.active),
    }
    return [
      { path: join(folder, "oauth_creds.json"), read, owner },
      {
        path: join(folder, "gemini-credentials.json"),
        onlyIfNothingElse: true,
        owner,
        read: () => Option.some([{ ...common, content: { _tag: "Elsewhere", where: "in a file that is encrypted" } }]),
      },
    ]
  },
}
