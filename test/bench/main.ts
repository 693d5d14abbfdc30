/**
 * `npm run bench [-- NAME]`: measures, side by side with a floor in the same run, and prints ratios. Nothing here is
 * asserted; a machine's speed is no property of the code.
 */
import { audit } from "./audit.ts"
import { sessions } from "./sessions.ts"
import { frames } from "./frames.ts"
import { renewal } from "./renewal.ts"
import { refreshRace } from "./refresh-race.ts"
import { edge } from "./edge.ts"
import { startup } from "./startup.ts"

const benches = new Map([
  ["audit", audit],
  ["sessions", sessions],
  ["frames", frames],
  ["renewal", renewal],
  ["refresh-race", refreshRace],
  ["edge", edge],
  ["startup", startup],
])

const asked = process.argv[2]
for (const [name, bench] of benches) {
  if (asked === undefined || asked === name) {
    console.log(`\n${name}`)
    await bench()
  }
}
