import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import * as Frame from "../../src/server/Frame.ts"
import { anyText } from "../support/AnyText.ts"

const encode = (value: Frame.JsonObject) => Result.getOrThrow(Frame.encode(value))

const header = (length: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length)
  return bytes
}

const frameOf = (body: string | Uint8Array) => {
  const bytes = Buffer.from(body)
  return Buffer.concat([header(bytes.byteLength), bytes])
}

const decode = (...chunks: ReadonlyArray<Uint8Array>) => {
  const decoder = new Frame.Decoder()
  return Result.all(chunks.map((chunk) => decoder.push(chunk))).pipe(Result.map((frames) => frames.flat()))
}

const cutAt = (bytes: Uint8Array, points: ReadonlyArray<number>) => {
  const edges = [
    0,
    ...points.map((point) => point % (bytes.byteLength + 1)).toSorted((a, b) => a - b),
    bytes.byteLength,
  ]
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end))
}

const jsonObject = fc
  .dictionary(anyText(), fc.jsonValue())
  .map((value): Frame.JsonObject => JSON.parse(JSON.stringify(value)))

/** An object whose JSON is so many bytes long. */
const ofBytes = (bytes: number) => ({ a: "x".repeat(bytes - '{"a":""}'.length) })

const failureOf = <A>(result: Result.Result<A, Frame.FrameInvalid>) =>
  Result.match(result, { onFailure: ({ what }) => what, onSuccess: () => "no failure" })

describe("frames", () => {
  it("are four bytes of length, big-endian, and so many bytes of UTF-8 JSON", () => {
    assert.deepStrictEqual([...encode({ é: 1 })], [0, 0, 0, 8, ...Buffer.from('{"é":1}')])
  })

  it("come out as they went in, wherever the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(jsonObject), fc.array(fc.nat()), (objects, points) => {
        const bytes = Buffer.concat(objects.map(encode))
        assert.deepStrictEqual(decode(...cutAt(bytes, points)), Result.succeed(objects))
      }),
    )
  })

  it("come out as they went in when the bytes come one by one", () => {
    fc.assert(
      fc.property(fc.array(jsonObject, { maxLength: 4 }), (objects) => {
        const bytes = Buffer.concat(objects.map(encode))
        assert.deepStrictEqual(decode(...Array.from(bytes, (byte) => Uint8Array.of(byte))), Result.succeed(objects))
      }),
    )
  })

  it("come out as soon as they are complete, and not before", () => {
    const decoder = new Frame.Decoder()
    const bytes = Buffer.concat([encode({ n: 1 }), encode({ n: 2 }), encode({ n: 3 })])
    const two = encode({ n: 1 }).byteLength * 2
    assert.deepStrictEqual(decoder.push(bytes.subarray(0, two - 1)), Result.succeed([{ n: 1 }]))
    assert.deepStrictEqual(decoder.push(bytes.subarray(two - 1)), Result.succeed([{ n: 2 }, { n: 3 }]))
  })

  it("do not mind what happens to a chunk after it was taken", () => {
    const decoder = new Frame.Decoder()
    const bytes = encode({ kept: "whole" })
    const chunk = Buffer.from(bytes.subarray(0, 12))
    decoder.push(chunk)
    chunk.fill(0)
    assert.deepStrictEqual(decoder.push(bytes.subarray(12)), Result.succeed([{ kept: "whole" }]))
  })

  it("hold 65536 bytes and not one more", () => {
    const largest = ofBytes(65_536)
    assert.strictEqual(encode(largest).byteLength, 4 + 65_536)
    assert.deepStrictEqual(decode(encode(largest)), Result.succeed([largest]))
    assert.strictEqual(failureOf(Frame.encode(ofBytes(65_537))), "too large")
  })

  it("are measured in bytes, not in characters", () => {
    assert.strictEqual(failureOf(Frame.encode({ a: "é".repeat(32_764) })), "no failure")
    assert.strictEqual(failureOf(Frame.encode({ a: "é".repeat(32_765) })), "too large")
  })

  for (const length of [65_537, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
    it(`of ${length} bytes are refused before any of the body has come`, () => {
      assert.strictEqual(failureOf(decode(header(length))), "too large")
      const bytewise = Array.from(header(length), (byte) => Uint8Array.of(byte))
      assert.strictEqual(failureOf(decode(...bytewise.slice(0, 3))), "no failure")
      assert.strictEqual(failureOf(decode(...bytewise)), "too large")
    })
  }

  for (const [what, frame] of [
    ["an empty body", header(0)],
    ["something else than JSON", frameOf("hello")],
    ["JSON that ends early", frameOf('{"a":')],
    ["JSON and more", frameOf("{}{}")],
    ["an array", frameOf("[{}]")],
    ["a number", frameOf("1")],
    ["a string", frameOf('"a"')],
    ["null", frameOf("null")],
    ["true", frameOf("true")],
    ["UTF-8 that is broken", frameOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d))],
    ["UTF-8 that ends early", frameOf(Uint8Array.of(0x22, 0xe2, 0x82))],
    ["UTF-8 of half a surrogate pair", frameOf(Uint8Array.of(0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d))],
    ["UTF-16", frameOf(Buffer.from("{}", "utf16le"))],
  ] as const) {
    it(`with ${what} are refused, and so is what follows in the same chunk`, () => {
      assert.strictEqual(failureOf(decode(frame)), "not a JSON object")
      assert.strictEqual(failureOf(decode(Buffer.concat([frame, encode({})]))), "not a JSON object")
    })
  }

  it("of one connection are not disturbed by broken UTF-8 of another", () => {
    decode(frameOf(Uint8Array.of(0x22, 0xe2, 0x82)))
    assert.deepStrictEqual(decode(encode({ a: "€" })), Result.succeed([{ a: "€" }]))
  })

  it("are partial from their first byte to the one before their last", () => {
    const decoder = new Frame.Decoder()
    const bytes = encode({ n: 1 })
    assert.isFalse(decoder.isPartial)
    for (const byte of bytes.subarray(0, -1)) {
      decoder.push(Uint8Array.of(byte))
      assert.isTrue(decoder.isPartial)
    }
    decoder.push(bytes.subarray(-1))
    assert.isFalse(decoder.isPartial)
  })

  it("are partial when the next one has begun in the same chunk", () => {
    const decoder = new Frame.Decoder()
    decoder.push(Buffer.concat([encode({ n: 1 }), Uint8Array.of(0)]))
    assert.isTrue(decoder.isPartial)
  })
})
