import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Option } from "effect"
import * as fc from "fast-check"
import * as AuditEntry from "../../src/domain/AuditEntry.ts"
import { sha256 } from "../../src/system/Sha256.ts"
import { entry } from "../support/Audited.ts"
import { anyText } from "../support/AnyText.ts"

interface File {
  readonly name: string
  readonly content: string
}

const render = AuditEntry.makeRenderer(sha256, 99)

/** A log of files with so many requests each, and its head. */
const logOf = (counts: ReadonlyArray<number>) => {
  const files: Array<File> = []
  let tip = AuditEntry.origin
  for (const count of counts) {
    const name = AuditEntry.fileNameOf(tip.seq + 1)
    const bodies = [
      render.event(1, { event: "file", version: 1, previous: tip.hash, oldest: 1 }),
      ...Array.from({ length: count }, (_, i) => AuditEntry.bodyOf(render.parts(entry({ at: i, pid: i })))),
    ]
    let content = ""
    for (const body of bodies) {
      const next = AuditEntry.chain(sha256, tip, body)
      content += `${next.line}\n`
      tip = { seq: next.seq, hash: next.hash }
    }
    files.push({ name, content })
  }
  const newest = files.at(-1)
  const head = { file: newest?.name ?? "", size: newest?.content.length ?? 0, ...tip }
  return { files, head }
}

const check = (files: ReadonlyArray<File>, head?: AuditEntry.Head, anchor?: AuditEntry.Tip) => {
  const verifier = AuditEntry.makeVerifier(sha256, {
    head: Option.fromUndefinedOr(head),
    anchor: Option.fromUndefinedOr(anchor),
  })
  for (const { content, name } of files) verifier.file(name, content)
  return verifier.report()
}

const inFile = (files: ReadonlyArray<File>, index: number, change: (lines: Array<string>) => ReadonlyArray<string>) =>
  files.map((file, i) => (i === index ? { ...file, content: change(file.content.split("\n")).join("\n") } : file))

const whats = (report: AuditEntry.Report) => report.problems.map(({ line, what }) => `${line ?? "-"}: ${what}`)

describe("a line of the audit log", () => {
  it("says all that is known of a request, and the token's fingerprint instead of the token", () => {
    const { line } = AuditEntry.chain(sha256, AuditEntry.origin, AuditEntry.bodyOf(render.parts(entry())))
    assert.deepInclude(JSON.parse(line), {
      seq: 1,
      time: "2027-01-15T08:00:00.000Z",
      server: 99,
      uid: 1000,
      pid: 4711,
      grant: "agents",
      op: "get_token",
      account: "github:work",
      outcome: "ok",
      micros: 321,
      fingerprint: createHash("sha256").update("gho_canary_0123456789").digest("hex").slice(0, 16),
    })
    assert.notInclude(line, "canary")
    const bare = { uid: undefined, pid: undefined, account: undefined, token: undefined }
    const { line: short } = AuditEntry.chain(sha256, AuditEntry.origin, AuditEntry.bodyOf(render.parts(entry(bare))))
    assert.deepStrictEqual(Object.keys(JSON.parse(short)), [
      "seq",
      "time",
      "server",
      "grant",
      "op",
      "outcome",
      "micros",
      "hash",
    ])
  })

  it("is one line of harmless ASCII that can be read again, whatever a peer sends", () => {
    fc.assert(
      fc.property(anyText({ maxLength: 400 }), anyText({ maxLength: 400 }), (op, account) => {
        const noted = AuditEntry.bounded(entry({ op, account }))
        const { line } = AuditEntry.chain(sha256, AuditEntry.origin, AuditEntry.bodyOf(render.parts(noted)))
        assert.match(line, /^[\x20-\x7e]*$/)
        assert.isBelow(line.length, 2_000)
        const read = Option.getOrThrow(AuditEntry.requestIn(line))
        assert.isAtMost(read.op.length, 64)
        assert.isTrue(Option.isNone(AuditEntry.eventIn(line)))
      }),
    )
  })

  it("does not keep what is long", () => {
    const noted = AuditEntry.bounded(entry({ op: "x".repeat(60_000), account: "y".repeat(60_000) }))
    assert.deepStrictEqual([noted.op.length, noted.account?.length], [64, 200])
    const short = entry()
    assert.strictEqual(AuditEntry.bounded(short), short)
  })
})

describe("the chain of the audit log", () => {
  const { files, head } = logOf([3, 4, 2])

  it("is sound as it was written, over all its files", () => {
    const report = check(files, head, {
      seq: 5,
      hash: AuditEntry.claimOf(lineAt(files, 5)).pipe(Option.getOrThrow).hash,
    })
    assert.deepStrictEqual(whats(report), [])
    assert.deepInclude(report, { lines: 12, files: 3, remarks: [] })
    assert.strictEqual(Option.getOrThrow(report.tip).seq, 12)
    assert.deepStrictEqual(whats(check([])), [])
  })

  it("is checked by what is in the file alone, with any SHA-256", () => {
    const [one = "", two = ""] = files[0]?.content.split("\n") ?? []
    const hashOf = (line: string) => line.slice(-66, -2)
    const text = two.slice(0, two.indexOf(',"hash":'))
    assert.strictEqual(
      createHash("sha256")
        .update(hashOf(one) + text)
        .digest("hex"),
      hashOf(two),
    )
  })

  it("shows which line was changed", () => {
    const changed = inFile(files, 1, (lines) =>
      lines.with(2, (lines[2] ?? "").replace("4711", "4712").replace("github", "gitlab")),
    )
    const report = check(changed, head)
    assert.deepStrictEqual(report.problems, [
      {
        file: files[1]?.name ?? "",
        line: 3,
        what: "it does not follow from the line before: one of the two was changed",
      },
    ])
  })

  it("shows where lines were removed, moved, added", () => {
    assert.deepStrictEqual(
      whats(
        check(
          inFile(files, 1, (lines) => lines.toSpliced(2, 2)),
          head,
        ),
      ),
      ["3: lines 7 to 8 are missing before it"],
    )
    const moved = whats(
      check(
        inFile(files, 1, (lines) => lines.with(2, lines[3] ?? "").with(3, lines[2] ?? "")),
        head,
      ),
    )
    assert.deepStrictEqual(moved, [
      "3: line 7 is missing before it",
      "4: it has the number 7, and should have 9: it was moved or added",
      "5: line 8 is missing before it",
    ])
    assert.deepStrictEqual(
      whats(
        check(
          inFile(files, 1, (lines) => lines.toSpliced(2, 0, "{}")),
          head,
        ),
      ),
      ["3: it is no line of this log"],
    )
    const twice = inFile(files, 1, (lines) => lines.toSpliced(2, 0, lines[1] ?? ""))
    assert.deepStrictEqual(whats(check(twice, head)), [
      "3: it has the number 6, and should have 7: it was moved or added",
    ])
  })

  it("shows that a file is missing, at the beginning, in the middle and at the end", () => {
    const without = (index: number) => whats(check(files.toSpliced(index, 1), head))
    assert.deepStrictEqual(without(0), ["-: lines 1 to 4 are missing before it"])
    assert.deepStrictEqual(without(1), ["1: lines 5 to 9 are missing before it"])
    assert.deepStrictEqual(without(2), ["-: lines 10 to 12 are missing after it"])
    assert.deepStrictEqual(whats(check([], head)), ["-: lines 1 to 12 are missing after it"])
  })

  it("shows that the end was cut off, as long as the head is there", () => {
    const cut = inFile(files, 2, (lines) => lines.toSpliced(1, 2))
    assert.deepStrictEqual(whats(check(cut, head)), ["-: lines 11 to 12 are missing after it"])
    assert.deepStrictEqual(whats(check(cut)), [
      "-: it is missing or damaged, so nobody can say whether the end was removed",
    ])
  })

  it("shows that all was written anew, to whoever has noted a line", () => {
    const anew = logOf([3, 4, 3])
    const noted = { seq: head.seq, hash: "0".repeat(64) }
    assert.deepStrictEqual(whats(check(anew.files, anew.head)), [])
    assert.deepStrictEqual(whats(check(anew.files, anew.head, noted)), [
      "3: it is not the line that had this number before",
    ])
  })

  it("tells a line that a crash has left half written from one that was removed", () => {
    const last = files.at(-1) ?? { name: "", content: "" }
    const crashed = files.with(2, { ...last, content: `${last.content}{"seq":13,"ti` })
    assert.deepStrictEqual(check(crashed, head), {
      ...check(files, head),
      remarks: ["the last line is half written, left by a crash; the next writer will say so"],
    })
    const shortened = files.with(2, { ...last, content: last.content.slice(0, -20) })
    assert.deepStrictEqual(whats(check(shortened, head)), ["3: it is not complete", "-: line 12 is missing after it"])
  })

  it("finds any change of any character", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.integer({ min: 0, max: 255 }), (which, where, code) => {
        const index = which % files.length
        const { content, name } = files[index] ?? { content: "", name: "" }
        const at = where % content.length
        fc.pre(content.charCodeAt(at) !== code)
        const changed = content.slice(0, at) + String.fromCharCode(code) + content.slice(at + 1)
        assert.isNotEmpty(check(files.with(index, { name, content: changed }), head).problems)
      }),
      { numRuns: 500 },
    )
  })

  it("finds any lines that are removed, added, or in another order", () => {
    const all = files.flatMap(({ content }, file) =>
      content
        .trimEnd()
        .split("\n")
        .map((line) => ({ file, line })),
    )
    const place = fc.nat({ max: all.length - 1 })
    const change = fc.oneof(
      fc
        .record({ from: place, count: fc.integer({ min: 1, max: 12 }) })
        .map(({ count, from }) => all.toSpliced(from, count)),
      fc
        .record({ from: place, to: place, other: fc.integer({ min: 0, max: 2 }) })
        .map(({ from, other, to }) => all.toSpliced(to, 0, { line: all[from]?.line ?? "", file: other })),
      fc.shuffledSubarray(all, { minLength: all.length }),
      fc.shuffledSubarray(all),
    )
    const textOf = (lines: typeof all) =>
      files.map(({ name }, file) => ({
        name,
        content: lines.flatMap((line) => (line.file === file ? [`${line.line}\n`] : [])).join(""),
      }))
    const isSame = (changed: ReadonlyArray<File>) => changed.every(({ content }, i) => content === files[i]?.content)
    fc.assert(
      fc.property(change, (lines) => {
        const changed = textOf(lines)
        fc.pre(!isSame(changed))
        assert.isNotEmpty(check(changed, head).problems)
      }),
      { numRuns: 500 },
    )
  })
})

/** The line with a number. */
const lineAt = (files: ReadonlyArray<File>, seq: number) =>
  files.flatMap(({ content }) => content.split("\n")).find((line) => line.startsWith(`{"seq":${seq},`)) ?? ""
