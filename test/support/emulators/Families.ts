/**
 * Refresh tokens that are good once: whoever shows one again ends all that came of the same login.
 */
import type { Books } from "./Emulator.ts"

export interface Pair {
  readonly access: string
  readonly refresh: string
}

export const makeFamilies = (books: Books) => {
  const families: Array<Set<string>> = []
  const familyOf = (token: string | undefined) => families.find((family) => family.has(token ?? ""))
  const grow = (family: Set<string>, { access, refresh }: Pair): Pair => {
    family.add(access).add(refresh)
    return { access, refresh }
  }
  return {
    /** A new login. */
    begin: (): Pair => {
      const family = new Set<string>()
      families.push(family)
      return grow(family, books.issue())
    },
    /** The next tokens of a login; or what is wrong with the one that was shown. */
    refresh: (token: string | undefined): Pair | "reused" | "unknown" => {
      const family = familyOf(token)
      if (family === undefined) return "unknown"
      if (!books.isRefreshToken(token)) {
        for (const each of family) books.end(each)
        return "reused"
      }
      books.end(token)
      return grow(family, books.issue())
    },
  }
}
