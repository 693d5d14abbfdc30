/**
 * The whole program in files of its own: the build leaves this import as it is.
 */
export const load = (): Promise<unknown> => import("../main.ts")
