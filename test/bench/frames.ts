/**
 * Decoding frames, against the floor: `JSON.parse` of the same texts.
 */
import { Result } from "effect"
import * as Frame from "../../src/server/Frame.ts"
import { median, milliseconds } from "./measure.ts"

const count = 20_000
const request = { v: 2, id: "12345", op: "get_token", payload: { provider: "github", bucket: "default" } }

export const frames = async () => {
  const frame = Result.getOrThrow(Frame.encode(request))
  const texts = Array.from({ length: count }, () => JSON.stringify(request))
  const stream = Buffer.concat(Array.from({ length: count }, () => frame))
  const decode = await median(21, () => {
    const decoder = new Frame.Decoder()
    for (let at = 0; at < stream.byteLength; at += 65_536) {
      Result.getOrThrow(decoder.push(stream.subarray(at, at + 65_536)))
    }
  })
  const floor = await median(21, () => texts.forEach((text) => void JSON.parse(text)))
  console.log(`  decode, each                 ${((decode / count) * 1e6).toFixed(0)} ns`)
  console.log(`  floor: JSON.parse, each      ${((floor / count) * 1e6).toFixed(0)} ns`)
  console.log(`  ratio                        ${(decode / floor).toFixed(2)}  (${milliseconds(decode)} for ${count})`)
}
