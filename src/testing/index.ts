/**
 * For the tests of programs that build on tokenkeep.
 *
 * - {@link ScriptedProvider}: an authorization server in process that does what a test says.
 * - `layerBrokerMemory` and `TokenStore.layerMemory`: nothing on disk.
 */
export { layerMemory as layerBrokerMemory } from "../broker/BrokerHost.ts"
export { TokenStore } from "../broker/TokenStore.ts"
export * as ScriptedProvider from "./ScriptedProvider.ts"
