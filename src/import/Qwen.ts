/**
 * Qwen Code: `.qwen/oauth_creds.json`. It refuses a file without a refresh token, so it cannot be left an access token only.
 *
 * Sources: QwenLM/qwen-code `packages/core/src/qwen/sharedTokenManager.ts`, `packages/core/src/config/storage.ts`.
 */
import { Option, Schema } from "effect"
import { baseUrlOf } from "../providers/Qwen.ts"
import { contentOf, decoder, type Entry, expiryOf, Text, textOf, Time } from "./LoginEntry.ts"
import { join } from "./Machine.ts"
import type { Tool } from "./Tool.ts"

const decode = decoder(
  Schema.Struct({
    access_token: Text,
    refresh_token: Text,
    token_type: Text,
    resource_url: Text,
    id_token: Text,
    expiry_date: Time,
  }),
)

export const read = (text: string) =>
  Option.map(decode(text), (login): ReadonlyArray<Entry> => {
    const resource = textOf(login.resource_url)?.trim()
    const content = contentOf({
      accessToken: login.access_token,
      refreshToken: login.refresh_token,
      expiry: expiryOf(login.expiry_date),
      tokenType: login.token_type,
      extras: {
        resource_url: resource,
        api_base_url: resource === undefined ? undefined : baseUrlOf(resource),
        id_token: textOf(login.id_token),
      },
    })
    return [{ entry: "oauth", provider: "qwen", rotates: true, content }]
  })

export const qwen: Tool = {
  name: "qwen",
  title: "Qwen Code",
  places: ({ home }) => [{ path: join(home, ".qwen", "oauth_creds.json"), read }],
}
