/**
 * Claude Code: `.credentials.json` in its folder, or on macOS an item in the keychain.
 *
 * The file and its dead shapes are in openusage `docs/providers/claude.md`, its place in CaddyGlow/ccproxy-api
 * `ccproxy/plugins/oauth_claude/storage.py`, the keychain in pgagarinov/awesome-claude-code `docs/35-oauth-token-storage.md`.
 * On trust: that an empty refresh token with an access token that has not expired is used as it is, as the long-lived token
 * of `claude setup-token` is, which has no refresh token either.
 */
import { DateTime, Option, Schema } from "effect"
import { contentOf, decoder, type Entry, expiryOf, Text, Time } from "./LoginEntry.ts"
import { join } from "./Machine.ts"
import type { Tool } from "./Tool.ts"

const decode = decoder(
  Schema.Struct({
    claudeAiOauth: Schema.optionalKey(
      Schema.NullOr(
        Schema.Struct({
          accessToken: Text,
          refreshToken: Text,
          expiresAt: Time,
          scopes: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
        }),
      ),
    ),
  }),
)

/** What `.credentials.json` says, or the item of the keychain. */
export const read = (text: string) =>
  Option.map(decode(text), ({ claudeAiOauth: login }): ReadonlyArray<Entry> => {
    if (login === undefined || login === null) return []
    const { accessToken, expiresAt, refreshToken, scopes } = login
    const common = { entry: "claudeAiOauth", provider: "anthropic", rotates: true }
    if (expiresAt === null || Number(expiresAt) === 0) {
      return [
        {
          ...common,
          content: { _tag: "Dead", why: "its expiry is 0: Claude Code has logged out, or its last refresh failed" },
        },
      ]
    }
    const content = contentOf({ accessToken, refreshToken, expiry: expiryOf(expiresAt), scope: scopes?.join(" ") })
    return [{ ...common, content }]
  })

const decodeIdentity = decoder(
  Schema.Struct({ oauthAccount: Schema.optionalKey(Schema.NullOr(Schema.Struct({ emailAddress: Text }))) }),
)

const emailIn = (text: string) => Option.getOrUndefined(decodeIdentity(text))?.oauthAccount?.emailAddress ?? undefined

const service = "Claude Code-credentials"

export const claude: Tool = {
  name: "claude",
  title: "Claude Code",
  places: ({ home, platform, userName, variables }) => {
    const custom = variables.CLAUDE_CONFIG_DIR
    const folder = custom ?? join(home, ".claude")
    const identity = join(custom ?? home, ".claude.json")
    return [
      { path: join(folder, ".credentials.json"), read, owner: { path: identity, read: emailIn } },
      ...(platform === "darwin"
        ? [
            {
              path: identity,
              onlyIfNothingElse: true,
              owner: { path: identity, read: emailIn },
              read: (text: string) =>
                Option.map(decodeIdentity(text), ({ oauthAccount }): ReadonlyArray<Entry> => {
                  if (oauthAccount === undefined || oauthAccount === null) return []
                  const suffix = custom === undefined ? {} : { suffixOf: custom.normalize("NFC") }
                  const ask = { _tag: "Keychain", service, account: userName, ...suffix } as const
                  const content = { _tag: "Elsewhere", where: "in the keychain of macOS", ask } as const
                  return [{ entry: "claudeAiOauth", provider: "anthropic", rotates: true, content }]
                }),
            },
          ]
        : []),
    ]
  },
  shape: (entry) => ({
    refreshToken: [entry, "refreshToken"],
    accessToken: [entry, "accessToken"],
    besides: ({ expiresAt }) =>
      expiresAt === undefined ? [] : [[[entry, "expiresAt"], DateTime.toEpochMillis(expiresAt)]],
  }),
}
