/**
 * The whole program, which runs when it is loaded. It is published twice: bundled, and, for plugins, in files of its own, so
 * that they and the program have the same copy of Effect and of tokenkeep.
 */
import * as Configuration from "./Configuration.ts"
import { type Environment, placesIn } from "./Places.ts"
import * as Unbundled from "./Unbundled.ts"

/** Whether it is certain that there are no plugins. */
const isWithoutPlugins = (env: Environment): boolean => {
  const places = placesIn(env)
  return places !== undefined && Configuration.isWithoutPlugins(Configuration.read(places.configFile))
}

export const load = (env: Environment): Promise<unknown> =>
  Promise.resolve(env)
    .then(isWithoutPlugins)
    .catch(() => false)
    .then((isPlain) => (isPlain ? import("../main.ts") : Unbundled.load()))
