/**
 * JSON that somebody else wrote: each question about it has an answer, whatever it is.
 */
import { Predicate } from "effect"

/** What JSON calls an object. */
export type JsonObject = { readonly [name: string]: unknown }

export const isJsonObject = (value: unknown): value is JsonObject => Predicate.isObject(value)

/** The object; an empty one if it is none. */
export const objectIn = (value: unknown): JsonObject => (isJsonObject(value) ? value : {})

/** Far deeper than any vendor goes, and far from where functions that call themselves end. */
const deepest = 64

/** Whether it can be looked through by functions that call themselves, as those that write JSON do. */
export const isShallow = (value: unknown, levels: number = deepest): boolean =>
  typeof value !== "object" ||
  value === null ||
  (levels > 0 && Object.values(value).every((part) => isShallow(part, levels - 1)))

/** The text; nothing if it is empty, or none. */
export const textIn = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined

/** The number, also if it is written as text, as PayPal and GitHub have done. */
export const numberIn = (value: unknown): number | undefined => {
  const number = typeof value === "string" ? Number.parseFloat(value) : value
  return typeof number === "number" && Number.isFinite(number) ? number : undefined
}
