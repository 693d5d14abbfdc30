/**
 * The contract of providers, kept by those that are built in, at emulators of their vendors.
 */
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { builtIn } from "../../src/providers/BuiltIn.ts"
import { type Emulator, providerContract } from "../../src/testing/ProviderContract.ts"
import * as Vendors from "../support/emulators/Emulator.ts"
import * as GitLab from "../support/emulators/GitLab.ts"
import * as Qwen from "../support/emulators/Qwen.ts"

const emulated = (vendor: Vendors.Start) =>
  Effect.map(vendor, ({ endpoints, fetch, says, visit, grant, deny }): Emulator => ({
    endpoints,
    fetch,
    grant: (url) => Effect.sync(() => visit(url)),
    deny: (url) => Effect.sync(() => visit(url, "deny")),
    grantDevice: (userCode) => Effect.sync(() => grant(userCode)),
    denyDevice: (userCode) => Effect.sync(() => deny(userCode)),
    revokeAll: Effect.sync(() => says(Vendors.problem(400, "invalid_grant"))),
    answerNext: (answer) => Effect.sync(() => says(answer)),
  }))

for (const [name, vendor, record] of [
  ["gitlab", GitLab.gitlab, { clientId: GitLab.clientId, scopes: ["read_user"] }],
  ["qwen", Qwen.qwen, {}],
] as const) {
  const definition = builtIn.find((known) => known.name === name)
  if (definition === undefined) throw new Error(`${name} is not built in`)
  describe(`the contract of ${name}`, () => {
    for (const test of providerContract(definition, { emulator: emulated(vendor), record })) {
      it.live(test.name, () => test.run)
    }
  })
}
