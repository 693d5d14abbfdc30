/**
 * Looking into JSON that was read.
 */
export { isObject, type JsonObject } from "../server/FrameBytes.ts"

export const isString = (value: unknown): value is string => typeof value === "string"

export const isText = (value: unknown): value is string => typeof value === "string" && value !== ""

export const isTexts = (value: unknown): value is ReadonlyArray<string> => Array.isArray(value) && value.every(isText)

/** Whether it is absent, or else as it should be. */
export const isMaybe = (value: unknown, is: (value: unknown) => boolean): boolean => value === undefined || is(value)

/** A name that means nothing but itself, wherever it stands. */
export const isName = (value: unknown): value is string =>
  typeof value === "string" && /^[\x21-\x7e]{1,200}$/.test(value) && value !== "__proto__"
