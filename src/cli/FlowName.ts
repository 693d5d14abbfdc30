/**
 * The flows by the names that people use.
 */
import type { FlowType } from "../domain/Session.ts"

export const flowNames = {
  browser: "browser_redirect",
  device: "device_code",
  paste: "pkce_redirect",
} as const satisfies Record<string, FlowType>

export type FlowName = keyof typeof flowNames

/** The name that people use. */
export const nameOf: { readonly [flow in FlowType]: FlowName } = {
  browser_redirect: "browser",
  device_code: "device",
  pkce_redirect: "paste",
}
