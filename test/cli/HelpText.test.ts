import { assert, describe, it } from "@effect/vitest"
import { Context, Option } from "effect"
import type { HelpDoc } from "effect/cli"
import * as Auth from "../../src/cli/Auth.ts"
import * as HelpText from "../../src/cli/HelpText.ts"
import type { Look } from "../../src/cli/Screen.ts"

const look = (columns: number, hasColour = false): Look => ({
  isTerminal: true,
  hasColour,
  canRedraw: true,
  isUnicode: true,
  columns: () => columns,
  paint: (_, text) => (hasColour ? `<${text}>` : text),
})

const flag = (name: string, type: string, description: string): HelpDoc.FlagDoc => ({
  name,
  type,
  aliases: [],
  description: Option.some(description),
  required: false,
})

const doc: HelpDoc.HelpDoc = {
  description:
    "Does something that takes a few more words to say than there is room for on a line of a narrow terminal",
  usage: "tokenkeep do [flags] <account> [<args...>]",
  commandPath: ["tokenkeep", "do"],
  annotations: Context.empty(),
  args: [
    { name: "account", type: "string", description: Option.some("Which (optional)"), required: false, variadic: false },
  ],
  flags: [
    flag("flow", "choice", "How (choices: browser, device)"),
    flag("kind", "choice", "What (choices: one-that-is-long, another-that-is-long)"),
    flag("a-flag-with-a-name-that-goes-on", "string", "Long"),
    flag("quick", "boolean", "Soon"),
  ],
  examples: [{ command: "tokenkeep do example" }],
  globalFlags: [flag("json", "boolean", "Print JSON")],
}

describe("the help of a command", () => {
  it("says all that there is to type", () => {
    assert.strictEqual(
      HelpText.format(doc, look(120)),
      `Does something that takes a few more words to say than there is room for on a line of a narrow
terminal

USAGE
  tokenkeep do [flags] ACCOUNT [ARGS...]

ARGUMENTS
  ACCOUNT  Which

FLAGS
  --flow browser|device         How
  --kind NAME                   What (choices: one-that-is-long, another-that-is-long)
  --a-flag-with-a-name-that-goes-on TEXT
                                Long
  --quick                       Soon

EXAMPLES
  tokenkeep do example

See tokenkeep --help for the flags of all commands: --json`,
    )
  })

  it("has no line that is longer than the terminal is wide, but for words that are", () => {
    for (const columns of [48, 60, 80]) {
      for (const line of HelpText.format(doc, look(columns)).split("\n")) {
        if (!line.includes("a-flag-with")) assert.isAtMost(line.length, columns, line)
      }
    }
  })

  it("has bold titles where there is colour", () => {
    assert.include(HelpText.format(doc, look(80, true)), "<FLAGS>")
  })
})

it("lists a mounted command by the description that the program gives of it", () => {
  const lists = (descriptions: Auth.AuthOptions<never>["descriptions"]) =>
    Auth.make({ program: "acme", ...(descriptions !== undefined && { descriptions }) }).subcommands.flatMap(
      ({ commands }) => commands.map(({ description, shortDescription }) => shortDescription ?? description),
    )
  assert.include(lists(undefined), "Show the logins, and which of them need you")
  assert.include(lists({ status: "Who you are at Acme" }), "Who you are at Acme")
})
