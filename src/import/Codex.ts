/**
 * Codex: `auth.json` in its folder. It has no expiry; the access token, a JWT, has.
 *
 * The file is in openai/codex `codex-rs/login/src/auth/storage.rs`; the account in `token_data.rs`. What ccproxy writes into
 * the same file is not believed where the tokens say it: it keeps another number as the account (ccproxy-api
 * `ccproxy/plugins/oauth_codex/`). Codex can keep its login in the system's keyring too, and then removes the file.
 * On trust: that an empty refresh token is put up with as long as the access token is good; the field itself must be a text.
 */
import { DateTime, Option, Redacted, Schema } from "effect"
import { type JsonObject, numberIn, objectIn, textIn } from "../oauth/JsonObject.ts"
import { claimsOf } from "../oauth/JwtClaims.ts"
import { account as accountOf } from "../providers/Codex.ts"
import { contentOf, decoder, type Entry, expiryOf, Text } from "./LoginEntry.ts"
import { join } from "./Machine.ts"
import type { Shape, Tool } from "./Tool.ts"

const decode = decoder(
  Schema.Struct({
    OPENAI_API_KEY: Text,
    tokens: Schema.optionalKey(
      Schema.NullOr(Schema.Struct({ id_token: Text, access_token: Text, refresh_token: Text, account_id: Text })),
    ),
  }),
)

const claimsIn = (jwt: string | null | undefined): JsonObject => Option.getOrElse(claimsOf(jwt ?? ""), () => ({}))

const emailIn = (claims: JsonObject) =>
  textIn(claims["email"]) ?? textIn(objectIn(claims["https://api.openai.com/profile"])["email"])

const read = (text: string) =>
  Option.map(decode(text), ({ OPENAI_API_KEY: key, tokens }): ReadonlyArray<Entry> => {
    const common = { entry: "tokens", provider: "codex", rotates: true }
    if (tokens === undefined || tokens === null) {
      const why = "it is an API key, not a login: keep it with tokenkeep key set"
      return key === undefined || key === null ? [] : [{ ...common, rotates: false, content: { _tag: "Dead", why } }]
    }
    const [id, access] = [claimsIn(tokens.id_token), claimsIn(tokens.access_token)]
    const account = emailIn(id) ?? emailIn(access)
    const content = contentOf({
      accessToken: tokens.access_token,
      refreshToken: tokens.refresh_token,
      expiry: expiryOf(numberIn(access["exp"])),
      extras: {
        id_token: textIn(tokens.id_token),
        account_id: textIn(tokens.account_id),
        ...accountOf({ id_token: tokens.id_token, access_token: tokens.access_token }),
      },
    })
    return [{ ...common, ...(account !== undefined && { account }), content }]
  })

/** Where its configuration speaks of the keyring, and there is no file, the login is there. */
const readConfiguration = (text: string) =>
  Option.some<ReadonlyArray<Entry>>(
    /^\s*[\w."]*credentials_store[\w."]*\s*=\s*["'](?:keyring|auto)["']/m.test(text)
      ? [
          {
            entry: "tokens",
            provider: "codex",
            rotates: true,
            content: { _tag: "Elsewhere", where: "in the system's keyring, if Codex is logged in" },
          },
        ]
      : [],
  )

const shape: Shape = {
  refreshToken: ["tokens", "refresh_token"],
  accessToken: ["tokens", "access_token"],
  besides: ({ extras }, now) => {
    const idToken = textIn(Redacted.value(extras)["id_token"])
    return [
      ...(idToken === undefined ? [] : ([[["tokens", "id_token"], idToken]] as const)),
      [["last_refresh"], DateTime.formatIso(now)],
    ]
  },
}

export const codex: Tool = {
  name: "codex",
  title: "Codex",
  places: ({ home, variables }) => {
    const folder = variables.CODEX_HOME ?? join(home, ".codex")
    return [
      { path: join(folder, "auth.json"), read },
      { path: join(folder, "config.toml"), read: readConfiguration, onlyIfNothingElse: true },
    ]
  },
  shape: () => shape,
}
