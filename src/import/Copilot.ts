/**
 * GitHub Copilot in editors: GitHub tokens in `apps.json`, or in the older `hosts.json`. What is handed out is a token of
 * Copilot, for which the GitHub token is traded at the first use.
 *
 * The files are in zed-industries/zed `crates/copilot_chat`. On Windows they are seen in two folders; both are looked at.
 */
import { Option, Schema } from "effect"
import { contentOf, decoder, type Entry, Text, textOf } from "./LoginEntry.ts"
import { configHome, join } from "./Machine.ts"
import type { Tool } from "./Tool.ts"

const decode = decoder(Schema.Record(Schema.String, Schema.Unknown))

const decodeApp = Schema.decodeUnknownOption(Schema.Struct({ user: Text, oauth_token: Text }))

const github = "github.com"

/** Keys are `github.com:CLIENT` in `apps.json`, and `github.com` in `hosts.json`. */
const read = (text: string) =>
  Option.map(decode(text), (apps): ReadonlyArray<Entry> =>
    Object.entries(apps).flatMap(([key, value]) => {
      const app = Option.getOrUndefined(decodeApp(value))
      // What else may be in there is nothing of ours.
      if (app?.oauth_token === undefined) return []
      const [host = ""] = key.split(":")
      const user = textOf(app.user)
      const isGitHub = host === github
      const account = isGitHub ? user : [user, host].filter((part) => part !== undefined).join("@")
      return [
        {
          entry: key,
          ...(account !== undefined && { account }),
          ...(isGitHub && { provider: "copilot" }),
          rotates: false,
          content: contentOf({ accessToken: undefined, refreshToken: app.oauth_token, expiry: "unknown" }),
        },
      ]
    }),
  )

export const copilot: Tool = {
  name: "copilot",
  title: "GitHub Copilot",
  places: (machine) => {
    const { home, platform, variables } = machine
    const folders =
      platform === "win32"
        ? [
            variables.LOCALAPPDATA ?? join(home, "AppData", "Local"),
            variables.APPDATA ?? join(home, "AppData", "Roaming"),
          ]
        : [configHome(machine)]
    return ["apps.json", "hosts.json"].flatMap((file) =>
      folders.map((folder) => ({ path: join(folder, "github-copilot", file), read })),
    )
  },
}
