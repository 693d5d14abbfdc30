/**
 * ccproxy: a login of Copilot of its own. Its other logins are in the files of Claude Code and Codex, and are found there.
 *
 * Source: CaddyGlow/ccproxy-api `ccproxy/plugins/copilot/oauth/storage.py` and `models.py`. Times are in seconds.
 */
import { Option, Schema } from "effect"
import { contentOf, decoder, type Entry, expiryOf, Text, textOf, Time } from "./LoginEntry.ts"
import { join } from "./Machine.ts"
import type { Tool } from "./Tool.ts"

const decode = decoder(
  Schema.Struct({
    oauth_token: Schema.optionalKey(Schema.NullOr(Schema.Struct({ access_token: Text }))),
    copilot_token: Schema.optionalKey(
      Schema.NullOr(
        Schema.Struct({
          token: Text,
          expires_at: Time,
          endpoints: Schema.optionalKey(Schema.NullOr(Schema.Struct({ api: Text }))),
        }),
      ),
    ),
  }),
)

const read = (text: string) =>
  Option.map(decode(text), ({ copilot_token: traded, oauth_token: login }): ReadonlyArray<Entry> => {
    if (login === undefined || login === null) return []
    const content = contentOf({
      accessToken: traded?.token,
      refreshToken: login.access_token,
      expiry: expiryOf(traded?.expires_at),
      extras: { api_base_url: textOf(traded?.endpoints?.api) },
    })
    return [{ entry: "copilot", provider: "copilot", rotates: false, content }]
  })

export const ccproxy: Tool = {
  name: "ccproxy",
  title: "ccproxy",
  places: ({ home }) => [{ path: join(home, ".config", "copilot", "credentials.json"), read }],
}
