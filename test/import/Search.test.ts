/**
 * The files of each tool, as the tool writes them, wherever they may be: see `golden/`.
 */
import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Option, Redacted } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import { Machine, type Facts } from "../../src/import/Machine.ts"
import { type FoundLogin, Search, sharers } from "../../src/import/Search.ts"
import { tools } from "../../src/import/Tools.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const golden = fileURLToPath(new URL("golden/", import.meta.url))

const now = DateTime.makeUnsafe("2026-01-01T00:00:00Z")

/** What is found in a home with these files; `HOME` in a variable is that home. */
const findIn = Effect.fnUntraced(function* (
  files: { readonly [path: string]: string },
  { platform = "linux", variables = {}, mode = 0o600 }: Partial<Facts> & { readonly mode?: number } = {},
) {
  const home = yield* TemporaryHome.make
  for (const [path, source] of Object.entries(files)) {
    mkdirSync(dirname(`${home}/${path}`), { recursive: true })
    const text = source.includes("\n") || source.startsWith("{") ? source : readFileSync(`${golden}${source}.golden`)
    writeFileSync(`${home}/${path}`, text)
    chmodSync(`${home}/${path}`, mode)
  }
  const place: Facts = {
    platform,
    home,
    userName: "octo",
    uid: process.getuid?.() ?? -1,
    variables: Object.fromEntries(
      Object.entries(variables).map(([name, value]) => [name, value.replace("HOME", home)]),
    ),
  }
  yield* TestClock.setTime(DateTime.toEpochMillis(now))
  const found = yield* Effect.flatMap(Search, ({ find }) => find).pipe(
    Effect.provide(
      Search.layerNoDeps.pipe(
        Layer.provide([Layer.succeed(Machine, Machine.of(place)), SecureRandom.layerWebCrypto]),
        Layer.provide(NodeServices.layer),
      ),
    ),
  )
  const inHome = (text: string) => text.replaceAll(`${home}/`, "")
  return {
    logins: found.logins,
    rows: found.logins.map((login) => inHome(rowOf(login))),
    remarks: found.remarks.map(({ detail }) => inHome(detail)),
  }
})

const rowOf = (login: FoundLogin) =>
  [
    `${login.tool.name}:${login.account}`,
    Option.match(login.suggestion, { onNone: () => "-", onSome: String }),
    login.state,
    login.rotates ? "rotates" : "stays",
    login.content._tag === "Token" && login.content.token.expiresAt !== undefined
      ? DateTime.formatIso(login.content.token.expiresAt).slice(0, 10)
      : "-",
    login.path,
  ].join(" ")

const cases: ReadonlyArray<
  readonly [string, { readonly [path: string]: string }, Partial<Facts>, ReadonlyArray<string>]
> = [
  [
    "Claude Code on Linux",
    { ".claude/.credentials.json": "claude/credentials.json", ".claude.json": "claude/claude.json" },
    {},
    ["claude:octo@example.com anthropic usable rotates 2030-03-17 .claude/.credentials.json"],
  ],
  [
    "Claude Code on Windows",
    { ".claude/.credentials.json": "claude/expired.json" },
    { platform: "win32" },
    ["claude:default anthropic refreshable rotates 2023-11-14 .claude/.credentials.json"],
  ],
  [
    "Claude Code in a folder of its own",
    {
      "mine/.credentials.json": "claude/credentials.json",
      "mine/.claude.json": "claude/claude.json",
      ".claude/.credentials.json": "claude/expired.json",
    },
    { variables: { CLAUDE_CONFIG_DIR: "HOME/mine" } },
    ["claude:octo@example.com anthropic usable rotates 2030-03-17 mine/.credentials.json"],
  ],
  [
    "Claude Code in the keychain of macOS",
    { ".claude.json": "claude/claude.json" },
    { platform: "darwin" },
    ["claude:octo@example.com anthropic elsewhere rotates - .claude.json"],
  ],
  ["Claude Code, which on Linux has no keychain", { ".claude.json": "claude/claude.json" }, {}, []],
  [
    "a file that Claude Code has on macOS all the same",
    { ".claude/.credentials.json": "claude/credentials.json", ".claude.json": "claude/claude.json" },
    { platform: "darwin" },
    ["claude:octo@example.com anthropic usable rotates 2030-03-17 .claude/.credentials.json"],
  ],
  [
    "Claude Code that has logged out",
    { ".claude/.credentials.json": "claude/logged-out.json" },
    {},
    ["claude:default anthropic dead rotates - .claude/.credentials.json"],
  ],
  [
    "Claude Code without an expiry",
    { ".claude/.credentials.json": "claude/expiry-null.json" },
    {},
    ["claude:default anthropic dead rotates - .claude/.credentials.json"],
  ],
  [
    "Claude Code without tokens",
    { ".claude/.credentials.json": "claude/nulls.json" },
    {},
    ["claude:default anthropic dead rotates - .claude/.credentials.json"],
  ],
  [
    "Claude Code with an access token only",
    { ".claude/.credentials.json": "claude/access-only.json" },
    {},
    ["claude:default anthropic access only rotates 2030-03-17 .claude/.credentials.json"],
  ],
  [
    "Claude Code with an access token that has expired",
    { ".claude/.credentials.json": "claude/access-expired.json" },
    {},
    ["claude:default anthropic dead rotates 2023-11-14 .claude/.credentials.json"],
  ],
  ["Claude Code with logins at MCP servers only", { ".claude/.credentials.json": "claude/only-mcp.json" }, {}, []],
  [
    "Codex",
    { ".codex/auth.json": "codex/auth.json", ".codex/config.toml": "codex/config.toml" },
    {},
    ["codex:octo@example.com codex usable rotates 2030-03-17 .codex/auth.json"],
  ],
  [
    "Codex in a folder of its own, with tokens that say nothing",
    { "there/auth.json": "codex/opaque.json" },
    { variables: { CODEX_HOME: "HOME/there" } },
    ["codex:default codex refreshable rotates 1970-01-01 there/auth.json"],
  ],
  [
    "what ccproxy makes of the file of Codex",
    { ".codex/auth.json": "codex/ccproxy.json" },
    {},
    ["codex:octo@example.com codex access only rotates 2030-03-17 .codex/auth.json"],
  ],
  [
    "Codex with an API key",
    { ".codex/auth.json": "codex/api-key.json" },
    {},
    ["codex:default codex dead stays - .codex/auth.json"],
  ],
  [
    "Codex in the keyring",
    { ".codex/config.toml": "codex/config.toml" },
    {},
    ["codex:default codex elsewhere rotates - .codex/config.toml"],
  ],
  ["Codex without a login", { ".codex/config.toml": "codex/config-file.toml" }, {}, []],
  [
    "Gemini CLI",
    {
      ".gemini/oauth_creds.json": "gemini/oauth_creds.json",
      ".gemini/google_accounts.json": "gemini/google_accounts.json",
    },
    {},
    ["gemini:octo@example.com gemini usable stays 2030-03-17 .gemini/oauth_creds.json"],
  ],
  [
    "Gemini CLI in a home of its own, encrypted",
    { "g/.gemini/gemini-credentials.json": "gemini/gemini-credentials.json" },
    { variables: { GEMINI_CLI_HOME: "HOME/g" } },
    ["gemini:default gemini elsewhere stays - g/.gemini/gemini-credentials.json"],
  ],
  [
    "Qwen Code",
    { ".qwen/oauth_creds.json": "qwen/oauth_creds.json" },
    {},
    ["qwen:default qwen refreshable rotates 2023-11-14 .qwen/oauth_creds.json"],
  ],
  [
    "opencode",
    { ".local/share/opencode/auth.json": "opencode/auth.json" },
    {},
    [
      "opencode:anthropic anthropic usable rotates 2030-03-17 .local/share/opencode/auth.json",
      "opencode:openai codex refreshable rotates 2023-11-14 .local/share/opencode/auth.json",
      "opencode:github-copilot copilot refreshable stays 1970-01-01 .local/share/opencode/auth.json",
      "opencode:github-copilot-enterprise - usable stays 2030-03-17 .local/share/opencode/auth.json",
      "opencode:openrouter - dead stays - .local/share/opencode/auth.json",
      "opencode:inhouse - dead stays - .local/share/opencode/auth.json",
      "opencode:somebody - usable rotates - .local/share/opencode/auth.json",
      "opencode:later - dead stays - .local/share/opencode/auth.json",
    ],
  ],
  [
    "opencode where XDG has its data",
    { "data/opencode/auth.json": '{"anthropic":{"type":"oauth","refresh":"r","access":"a","expires":1900000000}}' },
    { variables: { XDG_DATA_HOME: "HOME/data" } },
    ["opencode:anthropic anthropic usable rotates 2030-03-17 data/opencode/auth.json"],
  ],
  [
    "an XDG folder that is not absolute, which does not count",
    { ".config/github-copilot/hosts.json": "copilot/hosts.json" },
    { variables: { XDG_CONFIG_HOME: "elsewhere" } },
    ["copilot:octo-example copilot refreshable stays 1970-01-01 .config/github-copilot/hosts.json"],
  ],
  [
    "Copilot with both of its files, which have one token",
    {
      "c/github-copilot/apps.json": "copilot/apps.json",
      "c/github-copilot/hosts.json": "copilot/hosts.json",
    },
    { variables: { XDG_CONFIG_HOME: "HOME/c" } },
    [
      "copilot:octo-example copilot refreshable stays 1970-01-01 c/github-copilot/apps.json",
      "copilot:octo@ghe.example.com - refreshable stays 1970-01-01 c/github-copilot/apps.json",
    ],
  ],
  [
    "Copilot on Windows, in either folder",
    {
      "AppData/Local/github-copilot/apps.json": '{"github.com:a":{"user":"one","oauth_token":"ghu_ONE"}}',
      "Roam/github-copilot/hosts.json": '{"github.com":{"user":"one","oauth_token":"ghu_TWO"}}',
    },
    { platform: "win32", variables: { APPDATA: "HOME/Roam" } },
    [
      "copilot:one copilot:one refreshable stays 1970-01-01 AppData/Local/github-copilot/apps.json",
      "copilot:one-2 copilot:one-2 refreshable stays 1970-01-01 Roam/github-copilot/hosts.json",
    ],
  ],
  [
    "gh with tokens in its file",
    { ".config/gh/hosts.yml": "gh/hosts.yml" },
    {},
    [
      "gh:octo github:octo usable stays - .config/gh/hosts.yml",
      "gh:second github:second elsewhere stays - .config/gh/hosts.yml",
      "gh:octo@ghe.example.com - usable stays - .config/gh/hosts.yml",
    ],
  ],
  [
    "gh with the keyring, where XDG has its configuration",
    { "c/gh/hosts.yml": "gh/keyring.yml" },
    { variables: { XDG_CONFIG_HOME: "HOME/c" } },
    ["gh:octo github elsewhere stays - c/gh/hosts.yml"],
  ],
  [
    "gh on Windows",
    { "AppData/Roaming/GitHub CLI/hosts.yml": "gh/keyring.yml" },
    { platform: "win32" },
    ["gh:octo github elsewhere stays - AppData/Roaming/GitHub CLI/hosts.yml"],
  ],
  [
    "gh in a folder of its own",
    { "ghc/hosts.yml": "gh/keyring.yml" },
    { variables: { GH_CONFIG_DIR: "HOME/ghc", XDG_CONFIG_HOME: "HOME/c" } },
    ["gh:octo github elsewhere stays - ghc/hosts.yml"],
  ],
  [
    "ccproxy",
    { ".config/copilot/credentials.json": "ccproxy/credentials.json" },
    {},
    ["ccproxy:default copilot usable stays 2030-03-17 .config/copilot/credentials.json"],
  ],
]

describe("what is found", () => {
  for (const [what, files, machine, rows] of cases) {
    it.effect(`of ${what}`, () =>
      Effect.gen(function* () {
        const found = yield* findIn(files, machine)
        assert.deepStrictEqual(found.rows, rows)
        assert.deepStrictEqual(found.remarks, [])
      }),
    )
  }

  it.effect("has the tokens and what goes with them", () =>
    Effect.gen(function* () {
      const { logins } = yield* findIn({
        ".codex/auth.json": "codex/ccproxy.json",
        ".claude/.credentials.json": "claude/credentials.json",
        ".config/copilot/credentials.json": "ccproxy/credentials.json",
        ".config/github-copilot/apps.json": "copilot/apps.json",
        ".qwen/oauth_creds.json": "qwen/oauth_creds.json",
      })
      const token = (name: string) => {
        const content = logins.find(({ tool }) => tool.name === name)?.content
        assert(content?._tag === "Token")
        const { accessToken, refreshToken, extras, scope } = content.token
        return [
          Redacted.value(accessToken),
          refreshToken === undefined ? undefined : Redacted.value(refreshToken),
          scope,
          Redacted.value(extras),
        ]
      }
      assert.deepStrictEqual(token("claude"), [
        "sk-ant-oat01-EXAMPLE",
        "sk-ant-ort01-EXAMPLE",
        "user:inference user:profile",
        {},
      ])
      // What ccproxy keeps as the account is who it is, not whose account.
      assert.strictEqual(Object(token("codex")[3]).account_id, "00000000-0000-4000-8000-000000000001")
      assert.deepStrictEqual(token("ccproxy"), [
        "tid=EXAMPLE;exp=1900000000",
        "ghu_EXAMPLE",
        undefined,
        { api_base_url: "https://api.individual.githubcopilot.com" },
      ])
      // The GitHub token is not an access token that may be handed out.
      assert.deepStrictEqual(token("copilot"), ["none-yet", "ghu_EXAMPLE", undefined, {}])
      assert.deepStrictEqual(token("qwen")[3], {
        resource_url: "portal.qwen.ai",
        api_base_url: "https://portal.qwen.ai/v1",
      })
      assert.notInclude(JSON.stringify(logins), "EXAMPLE")
    }),
  )

  it.effect("of files that are damaged is said, and the others are found all the same", () =>
    Effect.gen(function* () {
      const found = yield* findIn({
        ".claude/.credentials.json": '{"claudeAiOauth":{"accessToken":7}}',
        ".codex/auth.json": '{"tokens":',
        ".gemini/oauth_creds.json": "{}x\n",
        ".config/gh/hosts.yml": "gh/flow.yml",
        ".local/share/opencode/auth.json": "\n[]",
        ".qwen/oauth_creds.json": "qwen/oauth_creds.json",
      })
      assert.deepStrictEqual(found.rows, ["qwen:default qwen refreshable rotates 2023-11-14 .qwen/oauth_creds.json"])
      assert.deepStrictEqual(
        found.remarks,
        [
          ".claude/.credentials.json",
          ".codex/auth.json",
          ".gemini/oauth_creds.json",
          ".local/share/opencode/auth.json",
          ".config/gh/hosts.yml",
        ].map((path) => `${path} is damaged. It was left as it is.`),
      )
    }),
  )

  it.effect("of a file that others can read is said with the file's mode", () =>
    Effect.gen(function* () {
      const found = yield* findIn({ ".qwen/oauth_creds.json": "qwen/oauth_creds.json" }, { mode: 0o644 })
      assert.deepStrictEqual(found.remarks, [".qwen/oauth_creds.json can be read by others (mode 0644): chmod 600 it."])
    }),
  )

  it("never throws, whatever is in the files", () => {
    const place: Facts = { platform: "darwin", home: "/h", userName: "u", uid: 1, variables: {} }
    const texts = [
      "",
      "null",
      "[]",
      "{}",
      "1",
      '"x"',
      "{\n",
      "a: b\n c: d\nd: e",
      ":",
      "a:\n  b:\n c:",
      '{"__proto__":1}',
      "\0",
    ]
    for (const { path, read } of tools.flatMap(({ places }) => places(place))) {
      for (const text of texts) assert.doesNotThrow(() => read(text), path)
    }
  })
})

describe("files that are not what they should be", () => {
  it.effect("are not waited for, nor read without end", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      mkdirSync(`${home}/claude`)
      execFileSync("mkfifo", [`${home}/claude/.credentials.json`])
      mkdirSync(`${home}/codex`)
      symlinkSync("/dev/zero", `${home}/codex/auth.json`)
      const { remarks, rows } = yield* findIn(
        {},
        { variables: { CLAUDE_CONFIG_DIR: `${home}/claude`, CODEX_HOME: `${home}/codex` } },
      )
      assert.deepStrictEqual(rows, [])
      assert.deepStrictEqual(remarks, [
        `${home}/claude/.credentials.json cannot be read.`,
        `${home}/codex/auth.json cannot be read.`,
      ])
    }),
  )

  it.effect("are found again from another folder, where a variable names one from here", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      writeFileSync(`${home}/.credentials.json`, readFileSync(`${golden}claude/credentials.json.golden`))
      const { logins } = yield* findIn({}, { variables: { CLAUDE_CONFIG_DIR: relative(process.cwd(), home) } })
      assert.deepStrictEqual(
        logins.map(({ path }) => path),
        [`${home}/.credentials.json`],
      )
    }),
  )

  it.effect("have one login in two tools, which is said", () =>
    Effect.gen(function* () {
      const { logins, remarks } = yield* findIn({
        ".claude/.credentials.json": "claude/credentials.json",
        ".local/share/opencode/auth.json": "opencode/auth.json",
      })
      assert.deepStrictEqual(remarks, [
        ".claude/.credentials.json and .local/share/opencode/auth.json have one refresh token, which is good once: the first that uses it logs the other out.",
      ])
      assert.deepStrictEqual(
        logins.flatMap((login) => sharers(login, logins).map(({ tool }) => tool.name)),
        ["opencode", "claude"],
      )
    }),
  )
})
