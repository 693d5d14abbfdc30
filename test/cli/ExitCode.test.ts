import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { CliError } from "effect/cli"
import * as ExitCode from "../../src/cli/ExitCode.ts"
import * as Failures from "../../src/cli/Failures.ts"
import { UsageError } from "../../src/cli/UsageError.ts"
import * as Account from "../../src/domain/AccountKey.ts"
import * as Errors from "../../src/domain/Errors.ts"

const account = Account.make("demo", "work")
const path = "/kept/file"

const cases: ReadonlyArray<readonly [number, ExitCode.Failure]> = [
  [1, Errors.AccessDenied.make({ sessionId: "x" })],
  [1, Errors.FlowInitiationFailed.make({ detail: "No." })],
  [5, Errors.FlowInitiationFailed.make({ detail: "Down.", remedy: "wait" })],
  [5, Errors.PollFailed.make({ detail: "Down.", remedy: "wait" })],
  [2, new UsageError({ detail: "Not so." })],
  [2, new CliError.ShowHelp({ commandPath: ["tokenkeep"], errors: [new CliError.MissingArgument({ argument: "a" })] })],
  [
    125,
    new CliError.ShowHelp({
      commandPath: ["tokenkeep", "exec"],
      errors: [new CliError.MissingArgument({ argument: "a" })],
    }),
  ],
  [0, new CliError.ShowHelp({ commandPath: ["tokenkeep"], errors: [] })],
  [3, Errors.Unauthorized.make({})],
  [3, Errors.Forbidden.make({})],
  [4, Errors.TokenNotFound.make({ account })],
  [4, Errors.RefreshNotAvailable.make({ account })],
  [4, Errors.ReauthRequired.make({ account })],
  [5, Errors.RefreshFailed.make({ account, detail: "Through a socket there is no more than that." })],
  [5, Errors.RefreshFailed.make({ account, detail: "Down.", remedy: "wait" })],
  [1, Errors.RefreshFailed.make({ account, detail: "Refused.", remedy: "change" })],
  [5, Errors.RefreshRateLimited.make({ account, retryAfter: Duration.seconds(3) })],
  [6, Errors.StoreCorrupt.make({ path })],
  [6, Errors.ConfigCorrupt.make({ path })],
  [6, Errors.StoreUnavailable.make({ path, operation: "read" })],
  [6, Errors.LockBusy.make({ account, retryAfter: Duration.seconds(1) })],
  [7, Errors.HostUnreachable.make({ detail: "Nobody there." })],
  [7, Errors.HostFailure.make({})],
  [130, Errors.Cancelled.make({})],
  [127, { _tag: "NotStarted", message: "No such program.", exitCode: 127 }],
]

describe("how the process ends", () => {
  it("says what kind of trouble there was", () => {
    for (const [code, error] of cases) assert.strictEqual(ExitCode.of(error), code, error._tag)
  })

  it("says what can be chosen without the marks of a type", () => {
    const error = new CliError.ShowHelp({
      commandPath: ["tokenkeep", "token"],
      errors: [
        new CliError.InvalidValue({
          option: "format",
          value: "yaml",
          expected: '"raw" | "header" | "json"',
          kind: "flag",
        }),
      ],
    })
    assert.strictEqual(
      Failures.inWords(error),
      "--format cannot be “yaml”. Expected: raw, header, json\nSee: tokenkeep token --help",
    )
  })

  it("names no command that a program in which ours are mounted may not have", () => {
    const message = (error: ExitCode.Failure) => Failures.toJson(error, "acme auth").error.message
    assert.strictEqual(
      message(Errors.ProviderNotConfigured.make({ provider: "nobody" })),
      "No provider is called nobody.",
    )
    assert.strictEqual(
      message(Errors.FlowInitiationFailed.make({ detail: "Refused; check its scopes (tokenkeep provider show id)." })),
      "Refused; check its scopes.",
    )
  })

  it("says it to programs too", () => {
    assert.deepStrictEqual(
      Failures.toJson(Errors.RefreshRateLimited.make({ account, retryAfter: Duration.millis(2100) })),
      {
        version: 1,
        error: {
          code: "REFRESH_RATE_LIMITED",
          message:
            "demo:work is not refreshed again so soon, at the word of its provider or of the host. Nothing was lost; try again in 3 s.",
          retryAfterSeconds: 3,
          accounts: ["demo:work"],
        },
      },
    )
    assert.deepStrictEqual(Failures.toJson(new UsageError({ detail: "Not so." })), {
      version: 1,
      error: { code: "USAGE_ERROR", message: "Not so." },
    })
  })

  it("says of a defect where it came up, and not what it says", () => {
    const places = Failures.placesOf(new TypeError("the token hunter2"))
    assert.strictEqual(places[0], "TypeError")
    assert.match(places[1] ?? "", /^at .*ExitCode\.test/)
    assert.notInclude([...places, ...Failures.placesOf("hunter2")].join(), "hunter2")
  })
})
