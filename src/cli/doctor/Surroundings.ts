/**
 * What this process runs on.
 */
import { tmpdir } from "node:os"
import { Context } from "effect"

export interface Facts {
  readonly node: string
  readonly platform: NodeJS.Platform
  readonly temporaryFolder: string
}

export class Surroundings extends Context.Reference<Facts>("tokenkeep/cli/doctor/Surroundings", {
  defaultValue: () => ({ node: process.versions.node, platform: process.platform, temporaryFolder: tmpdir() }),
}) {}
