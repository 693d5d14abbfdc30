/**
 * Tables, by the width that a terminal gives them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import stringWidth from "string-width"
import * as Table from "../../src/cli/Table.ts"

interface Row {
  readonly name: string
  readonly note: string
  readonly extra: string
}

const columns: ReadonlyArray<Table.Column<Row>> = [
  { title: "NAME", cell: ({ name }) => name, least: 10 },
  { title: "NOTE", cell: ({ note }) => note, weight: 2, least: 8, paint: (text) => `\u001B[31m${text}\u001B[39m` },
  { title: "EXTRA", cell: ({ extra }) => extra, weight: 1 },
]

const fit = (rows: ReadonlyArray<Row>, width: number) =>
  Table.fit(columns, rows, { width, ellipsis: "…", paintTitle: (text) => text })

const colours = new RegExp(String.raw`\u001B\[\d+m`, "g")

const plain = (lines: ReadonlyArray<string>) => lines.map((line) => line.replaceAll(colours, ""))

describe("a table", () => {
  it("counts wide characters twice, and combining ones not at all", () => {
    const columns: ReadonlyArray<Table.Column<readonly [string, string]>> = [
      { title: "A", cell: ([text]) => text },
      { title: "B", cell: ([, text]) => text },
    ]
    const rows = [
      ["日本", "x"],
      ["é́́", "y"],
      ["four", "z"],
    ] as const
    assert.deepStrictEqual(Table.fit(columns, rows, { width: 80, ellipsis: "…", paintTitle: (text) => text }), [
      "A     B",
      "日本  x",
      "é́́     y",
      "four  z",
    ])
  })

  it("gets narrower by what matters least: first it is cut, then it goes", () => {
    const rows = [{ name: "a-long-name-of-an-account", note: "some words of a note", extra: "extra" }]
    assert.deepStrictEqual(plain(fit(rows, 200)), [
      "NAME                       NOTE                  EXTRA",
      "a-long-name-of-an-account  some words of a note  extra",
    ])
    assert.deepStrictEqual(plain(fit(rows, 48)), [
      "NAME                       NOTE            EXTRA",
      "a-long-name-of-an-account  some words of…  extra",
    ])
    assert.deepStrictEqual(plain(fit(rows, 30)), [
      "NAME           NOTE      EXTRA",
      "a-long-name-o  some wo…  extra",
      "f-an-account",
    ])
    assert.deepStrictEqual(plain(fit(rows, 20)), ["NAME        NOTE", "a-long-nam  some wo…", "e-of-an-ac", "count"])
    assert.deepStrictEqual(plain(fit(rows, 12)), ["NAME", "a-long-name-", "of-an-accoun", "t"])
  })

  it("shows nothing of a column in which there is nothing, and a dash where one has nothing", () => {
    const rows = [
      { name: "a", note: "", extra: "" },
      { name: "b", note: "x", extra: "" },
    ]
    assert.deepStrictEqual(plain(fit(rows, 80)), ["NAME  NOTE", "a     -", "b     x"])
  })

  it.prop(
    "is never wider than there is room, and loses nothing of what must be there",
    [
      Schema.Array(Schema.Struct({ name: Schema.NonEmptyString, note: Schema.String, extra: Schema.String })),
      Schema.Int.check(Schema.isBetween({ minimum: 12, maximum: 120 })),
    ],
    ([raw, width]) => {
      const clean = (text: string) => text.replaceAll(/[\p{C}\p{Z}]/gu, "_")
      const rows = raw.map(({ extra, name, note }) => ({ name: clean(name), note: clean(note), extra: clean(extra) }))
      const lines = plain(fit(rows, width))
      for (const line of lines) assert.isAtMost(stringWidth(line), width)
      if (rows.length === 0) return
      const onlyNames = plain(
        Table.fit([columns[0] ?? { title: "", cell: () => "" }], rows, {
          width,
          ellipsis: "…",
          paintTitle: (text) => text,
        }),
      )
      assert.strictEqual(onlyNames.slice(1).join(""), rows.map(({ name }) => name).join(""))
    },
  )
})
