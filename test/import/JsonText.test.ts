import { assert, describe, it } from "@effect/vitest"
import { Option } from "effect"
import * as fc from "fast-check"
import * as JsonText from "../../src/import/JsonText.ts"

const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/)

/** A JSON text of a value with any white space that JSON allows, and some names written with escapes. */
const written = (value: unknown, draw: () => string, escapes: () => boolean): string => {
  // Not short ones: for those JSON.parse of Node 24.21 may take the backslash for the name, where it has seen that name before.
  const name = (text: string) =>
    escapes() && text.length > 6
      ? `"\\u${text.charCodeAt(0).toString(16).padStart(4, "0")}${JSON.stringify(text.slice(1)).slice(1)}`
      : JSON.stringify(text)
  const inner = (value: unknown): string => {
    if (Array.isArray(value)) return `[${draw()}${value.map(inner).join(`${draw()},${draw()}`)}${draw()}]`
    if (typeof value === "object" && value !== null) {
      const members = Object.entries(value).map(([key, value]) => `${name(key)}${draw()}:${draw()}${inner(value)}`)
      return `{${draw()}${members.join(`${draw()},${draw()}`)}${draw()}}`
    }
    return JSON.stringify(value)
  }
  return draw() + inner(value) + draw()
}

const key = fc.oneof(
  fc.constantFrom("a", "b", "__proto__", 'quo"te', "back\\slash", "refreshToken", "}", "ü"),
  fc.string(),
)
const object = fc.dictionary(key, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 6 })

/** A document with an object at a path, in it a value at `name`, and whatever else there may be. */
const document = fc
  .record({
    path: fc.array(key, { maxLength: 3 }),
    name: key,
    old: fc.jsonValue({ maxDepth: 2 }),
    around: fc.array(object, { minLength: 4, maxLength: 4 }),
    spaces: fc.array(space, { minLength: 1, maxLength: 12 }),
    escapes: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
  })
  .map(({ around, escapes, name, old, path, spaces }) => {
    let [s, e] = [0, 0]
    const draw = () => spaces[s++ % spaces.length] ?? ""
    const wrap = (inner: unknown, names: ReadonlyArray<string>, depth: number): unknown =>
      names.reduceRight((inner, name, at) => withMember(around[(at + depth) % 4] ?? {}, name, inner), inner)
    const value = wrap(withMember(around[3] ?? {}, name, old), path, 0)
    return {
      text: written(value, draw, () => escapes[e++ % escapes.length] ?? false),
      path: [...path, name],
      value,
      old,
    }
  })

/** As JSON.parse makes it: `__proto__` is a name like any other. */
const withMember = (object: object, name: string, value: unknown): object =>
  Object.fromEntries([...Object.entries(object).filter(([key]) => key !== name), [name, value]])

const at = (value: unknown, path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((value, name) => (Object(value) as { [name: string]: unknown })[name], value)

describe("a value in a JSON text", () => {
  it("is replaced, and not a byte beside it", () => {
    fc.assert(
      fc.property(document, fc.jsonValue({ maxDepth: 2 }), ({ path, text }, value) => {
        const before = Option.getOrThrow(JsonText.valueAt(text, path))
        const changed = Option.getOrThrow(JsonText.withValue(text, path, value as never))
        assert.deepStrictEqual(Option.getOrThrow(JsonText.valueAt(changed, path)), JSON.parse(JSON.stringify(value)))
        // Put back, it is the same text again, but for how the value itself was written.
        const json = JSON.stringify(before)
        const back = Option.getOrThrow(JsonText.withValue(changed, path, before as never))
        const [prefix, suffix] = sharedEnds(text, back)
        assert.deepStrictEqual(JSON.parse(back), JSON.parse(text))
        assert.isTrue(back.slice(prefix, back.length - suffix).length <= json.length)
        // Nothing but the value's own span differs.
        const [start, end] = sharedEnds(text, changed)
        assert.isAtLeast(start + end, text.length - longestSpan(text, before))
      }),
      { numRuns: 200 },
    )
  })

  it("is added where it is missing, as the others are written, and nothing else changes", () => {
    fc.assert(
      fc.property(document, fc.jsonValue({ maxDepth: 2 }), ({ path, text }, value) => {
        const name = "a name that is not there"
        const into = [...path.slice(0, -1), name]
        const changed = Option.getOrThrow(JsonText.withValue(text, into, value as never))
        const expected: unknown = JSON.parse(text)
        const parent = at(expected, path.slice(0, -1)) as { [name: string]: unknown }
        parent[name] = value
        assert.deepStrictEqual(JSON.parse(changed), JSON.parse(JSON.stringify(expected)))
        const [start, end] = sharedEnds(text, changed)
        assert.isAtLeast(start + end, text.length)
      }),
      { numRuns: 200 },
    )
  })

  it("leaves no trace where it was added and is removed again", () => {
    fc.assert(
      fc.property(document, fc.jsonValue({ maxDepth: 2 }), ({ path, text }, value) => {
        const into = [...path.slice(0, -1), "a name that is not there"]
        assert.deepStrictEqual(JsonText.without(text, into), Option.none())
        const changed = Option.getOrThrow(JsonText.withValue(text, into, value as never))
        assert.deepStrictEqual(JsonText.without(changed, into), Option.some(text))
      }),
      { numRuns: 200 },
    )
  })

  it("is removed with nothing but itself and a comma", () => {
    fc.assert(
      fc.property(document, ({ path, text }) => {
        const without = Option.getOrThrow(JsonText.without(text, path))
        const expected: unknown = JSON.parse(text)
        const name = path.at(-1) ?? ""
        delete (at(expected, path.slice(0, -1)) as { [name: string]: unknown })[name]
        assert.deepStrictEqual(JSON.parse(without), expected)
        const [start, end] = sharedEnds(text, without)
        assert.isAtLeast(start + end, without.length)
      }),
      { numRuns: 200 },
    )
    for (const text of ["", "[]", '{"a":[]}', '{"b":1}']) {
      assert.deepStrictEqual(JsonText.without(text, ["a", "b"]), Option.none())
    }
    assert.deepStrictEqual(JsonText.without("{}", []), Option.none())
  })

  for (const [what, text, path, expected] of [
    ["in the style of two spaces", '{\n  "a": 1,\n  "b": 2\n}\n', ["c"], '{\n  "a": 1,\n  "b": 2,\n  "c": 0\n}\n'],
    ["in one line", '{"a": 1, "b": 2}', ["c"], '{"a": 1, "b": 2, "c": 0}'],
    ["in an empty object", "{ }", ["c"], '{"c":0 }'],
    ["that is there twice, where it counts", '{"a":1,"a":2}', ["a"], '{"a":1,"a":0}'],
    [
      "whose neighbour has braces in texts",
      '{"x":"}{\\"","a":[1,{"a":2}],"a" :"" }',
      ["a"],
      '{"x":"}{\\"","a":[1,{"a":2}],"a" :0 }',
    ],
  ] as const) {
    it(`is written ${what}`, () => {
      assert.deepStrictEqual(JsonText.withValue(text, path, 0), Option.some(expected))
    })
  }

  it("is not written into what is not JSON, or where nothing can hold it", () => {
    for (const text of [
      "",
      "{",
      '{"a":1}x',
      "\u{feff}{}",
      "[]",
      "1",
      '{"a":[]}',
      '{"a":null}',
      "{'a':1}",
      '{"a":1,}',
    ]) {
      assert.deepStrictEqual(JsonText.withValue(text, ["a", "b"], 0), Option.none(), text)
    }
    assert.deepStrictEqual(JsonText.withValue("{}", [], 0), Option.none())
  })

  it("is found in a document that is nested deeper than the stack", () => {
    const text = `{"x":${"[".repeat(5000)}${"]".repeat(5000)},"a":1}`
    assert.strictEqual(Option.getOrThrow(JsonText.withValue(text, ["a"], 0)), text.replace('"a":1', '"a":0'))
  })
})

/** How many characters two texts share at the beginning, and at the end. */
const sharedEnds = (one: string, other: string): readonly [number, number] => {
  const most = Math.min(one.length, other.length)
  let start = 0
  while (start < most && one[start] === other[start]) start++
  let end = 0
  while (end < most - start && one.at(-1 - end) === other.at(-1 - end)) end++
  return [start, end]
}

/** How long the text of a value can be at most: white space and escapes make it longer than JSON.stringify does. */
const longestSpan = (text: string, value: unknown) => Math.min(text.length, JSON.stringify(value).length * 6 + 400)
