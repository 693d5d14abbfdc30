/**
 * The number of this process, for the record of who used a refresh token.
 */
import { Context } from "effect"

export const ProcessId = Context.Reference<number>("tokenkeep/system/ProcessId", { defaultValue: () => process.pid })
