/**
 * The words of git-credential(1), byte for byte.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Git from "../../src/helpers/Git.ts"
import type { Handout } from "../../src/helpers/Handout.ts"
import { anyText } from "../support/AnyText.ts"

const handout: Handout = { accessToken: "gho_EXAMPLE", expiresAt: 1_900_000_000.9, tokenType: "bearer", scopes: [] }
const binding = { host: "github.com", account: "github", username: "oauth2" }

const asked = (text: string): Git.Request => {
  const parsed = Git.parse(text)
  if (parsed._tag !== "Request") throw new Error(`not understood: ${parsed.why}`)
  return parsed
}

const plain = "protocol=https\nhost=github.com\n"
const modern = `capability[]=authtype\ncapability[]=state\n${plain}`

const stdoutOf = (answer: ReturnType<typeof Git.answer>) => (answer._tag === "Said" ? answer.stdout : undefined)

describe("an answer to git", () => {
  it("is a user name and a password that expires", () => {
    assert.strictEqual(
      stdoutOf(Git.answer(asked(plain), binding, handout)),
      "username=oauth2\npassword=gho_EXAMPLE\npassword_expiry_utc=1900000000\n",
    )
  })

  it("has no expiry where the provider names none", () => {
    assert.strictEqual(
      stdoutOf(Git.answer(asked(plain), binding, { ...handout, expiresAt: undefined })),
      "username=oauth2\npassword=gho_EXAMPLE\n",
    )
  })

  it("is a header that nobody keeps, where git can have one", () => {
    assert.strictEqual(
      stdoutOf(Git.answer(asked(modern), binding, handout)),
      "capability[]=authtype\nauthtype=Basic\ncredential=b2F1dGgyOmdob19FWEFNUExF\nephemeral=1\npassword_expiry_utc=1900000000\n",
    )
  })

  for (const accessToken of ["", "a\nhost=evil", "a\r", "a\0b", "\u001b[2J", "a\u0085b", " a", "a ", "ä"]) {
    it(`is none with the token ${JSON.stringify(accessToken)}`, () => {
      for (const request of [plain, modern]) {
        assert.strictEqual(Git.answer(asked(request), binding, { ...handout, accessToken })._tag, "Refused")
      }
    })
  }

  it("is none with a user name that would end somewhere else", () => {
    for (const username of ["", "a:b", "a\nb", "ä"]) {
      assert.strictEqual(Git.answer(asked(plain), { ...binding, username }, handout)._tag, "Refused")
    }
  })

  it("has the lines that it should have and no others, whatever the token is", () => {
    fc.assert(
      fc.property(anyText(), fc.boolean(), (accessToken, isModern) => {
        const answer = Git.answer(asked(isModern ? modern : plain), binding, { ...handout, accessToken })
        if (answer._tag === "Refused") return assert.notInclude(answer.why, accessToken === "" ? "\0" : accessToken)
        const values = new Map(
          answer.stdout.split("\n").map((line) => [line.split("=", 1)[0], line.replace(/^[^=]*=/, "")]),
        )
        const secret = isModern
          ? Buffer.from(values.get("credential") ?? "", "base64")
              .toString("latin1")
              .slice("oauth2:".length)
          : values.get("password")
        assert.strictEqual(secret, accessToken)
        assert.strictEqual(answer.stdout.split("\n").length, isModern ? 6 : 4)
      }),
    )
  })
})

describe("what git says", () => {
  it("is a host, whatever else it is", () => {
    assert.deepStrictEqual(
      Git.parse(`${modern}path=octo/repo.git\nusername=alice\nwwwauth[]=Basic\trealm="GitHub"\n\nhost=evil\n`),
      { _tag: "Request", host: "github.com", takesHeader: true, secret: undefined },
    )
  })

  it("may be the token that was not taken, in either form", () => {
    assert.strictEqual(asked(`${plain}username=oauth2\npassword=a=b\n`).secret, "a=b")
    assert.strictEqual(asked(`${plain}authtype=Basic\ncredential=b2F1dGgyOmdob19FWEFNUExF\n`).secret, "gho_EXAMPLE")
    assert.isUndefined(asked(`${plain}credential=!\n`).secret)
  })

  for (const [what, text] of [
    ["nothing", ""],
    ["no protocol", "host=github.com\n"],
    ["no host", "protocol=https\n"],
    ["an empty host", "protocol=https\nhost=\n"],
    ["an empty protocol", "protocol=\nhost=github.com\n"],
    ["http", "protocol=http\nhost=github.com\n"],
    ["ssh", "protocol=ssh\nhost=github.com\n"],
    ["a carriage return", "protocol=https\r\nhost=github.com\r\n"],
    ["a carriage return in the host", "protocol=https\nhost=github.com\rhost=evil\n"],
    ["NUL", "protocol=https\nhost=github.com\0.evil\n"],
    ["an escape", `${plain}path=\u001b[2J\n`],
    ["two hosts", `${plain}host=evil.example\n`],
    ["a line that is none", `${plain}whatever\n`],
    ["a line without a key", `${plain}=x\n`],
    ["encoded line ends", "protocol=https\nhost=github.com%0d%0ahost=evil\n"],
    ["another script", "protocol=https\nhost=gіthub.com\n"],
    ["too much", `${plain}path=${"a".repeat(70_000)}\n`],
    ["an address", "url=https://github.com\n"],
    ["a host behind an empty line", "protocol=https\n\nhost=github.com\n"],
  ] as const) {
    it(`is no request with ${what}`, () => assert.strictEqual(Git.parse(text)._tag, "Nothing"))
  }

  it("is understood or not, and is a host of ours only as a whole", () => {
    fc.assert(
      fc.property(anyText(), anyText(), (host, more) => {
        const parsed = Git.parse(`protocol=https\nhost=github.com${host}\n${more}`)
        if (parsed._tag === "Request" && parsed.host === "github.com") assert.match(host, /^(:0*443)?(\n|$)/)
      }),
    )
    fc.assert(fc.property(anyText(), (text) => void Git.parse(text)))
  })
})
