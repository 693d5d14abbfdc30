/**
 * Texts of any characters at all. fast-check's own unit for them, `binary`, first makes a table of all that there are, which
 * takes a second in every process.
 */
import * as fc from "fast-check"

const surrogates = { first: 0xd800, count: 0x800 }

const character = fc
  .integer({ min: 0, max: 0x10_ffff - surrogates.count })
  .map((at) => String.fromCodePoint(at < surrogates.first ? at : at + surrogates.count))

export const anyText = (constraints: Omit<fc.StringConstraints, "unit"> = {}): fc.Arbitrary<string> =>
  fc.string({ ...constraints, unit: character })
