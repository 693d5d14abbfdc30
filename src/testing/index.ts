/**
 * For the tests of programs that build on tokenkeep, and of any other OAuth client.
 *
 * - {@link ScriptedProvider}: an authorization server in process that does what a test says.
 * - {@link ScriptedServer}: the same on a socket.
 * - {@link Behaviour}: how badly it can behave.
 * - `providerContract`: what every provider must do, for the tests of one that was written elsewhere.
 * - `layerBrokerMemory` and `TokenStore.layerMemory`: nothing on disk.
 */
export { layerMemory as layerBrokerMemory } from "../broker/BrokerHost.ts"
export { TokenStore } from "../broker/TokenStore.ts"
export type { Options } from "./AuthorizationServer.ts"
export * as Behaviour from "./Behaviour.ts"
export type { Call } from "./Journal.ts"
export type { Login } from "./Login.ts"
export { type Case, ContractBroken, type Emulator, providerContract, scriptedEmulator } from "./ProviderContract.ts"
export type { Changes, Policy } from "./Policy.ts"
export { Script } from "./Script.ts"
export { ScriptedProvider } from "./ScriptedProvider.ts"
export * as ScriptedServer from "./ScriptedServer.ts"
export type { Family } from "./TokenFamilies.ts"
