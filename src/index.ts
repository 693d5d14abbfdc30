/**
 * tokenkeep as a library.
 *
 * - `Broker`: the service. `BrokerHost.layer` holds the refresh tokens; `BrokerClient.layer` asks a host over a socket.
 * - `BrokerClientEnv.layer`: the same in a sandbox of `tokenkeep exec`, where the environment says what socket, and what to
 *   show there.
 * - `AuthorizedFetch.fetchFor`: a `fetch` with an account's token; `tokenkeep/http` has an `HttpClient`.
 * - `Renewal.layer`: renews tokens before they expire, on top of `BrokerHost.layer`.
 * - `Providers`: adds providers to the configuration and removes them, each with the `ProviderSettings` that are its own.
 * - `defineProvider`: types a plugin, for a provider that does not come with this: a `ProviderRecord`, a `Dialect`, commands.
 * - `ProviderDefinitions`: what is known of providers before they are configured; a program adds its own by `withBuiltIn`.
 * - `Accounts`, `Refresher`: what `BrokerHost.layer` is built of, and what `Renewal.layer` needs of it.
 * - `TokenStore`, `AccountLock`, `BrokerHost.layerOver`: to keep tokens elsewhere than in files.
 * - `ApiKeys`: sets and removes API keys; what reads them is the `Broker`.
 * - `Usage`: counts what is asked for over sockets.
 * - `AuthEvents`: what happens to logins, as a stream of `AuthEvent`; `EventCommand.layer` runs the configured command for it.
 * - `Adoptions.layerFeeding`, provided to `BrokerHost.layer`: tools whose logins were adopted get each new access token.
 * - `BrokerConfig`, `BrokerConfigEnv`: what can be set, in the program or in the environment.
 * - `UnixServer.layer`: hands out tokens on a socket, to whom `Admission` lets in and `PeerCredentials` makes known.
 * - `Grants`: what others than that user may have less of. `GrantsHost.layer` serves it, on sockets of its own; `Questions` asks
 *   a person; `GrantOperations.make` makes the operations for a `UnixServer`, and `GrantsClient.layer` asks for them there.
 * - `Audit`: what is noted of each request, in the audit folder (`Audit.layerFile`) or not at all (`Audit.layerOff`).
 * - `CurrentPeer`: for whom the broker is asked; a server sets it to whoever is at the other end.
 * - `AccountKey`, `AccountRecord`, `Token`, `Grant`, `NamePattern`, `Peer`, `Errors`: the words that all of them use.
 */
export { Accounts } from "./broker/Accounts.ts"
export { AccountLock } from "./broker/AccountLock.ts"
export { ApiKeys } from "./broker/ApiKeys.ts"
export { AuthEvents } from "./broker/AuthEvents.ts"
export { Broker, type CallError, type InitiatedLogin, type LoginProgress, type TokenError } from "./broker/Broker.ts"
export { BrokerConfig, type Settings } from "./broker/BrokerConfig.ts"
export * as BrokerConfigEnv from "./broker/BrokerConfigEnv.ts"
export * as BrokerHost from "./broker/BrokerHost.ts"
export { CurrentPeer } from "./broker/CurrentPeer.ts"
export * as EventCommand from "./broker/EventCommand.ts"
export { defineProvider, type ProviderPlugin } from "./broker/ProviderPlugin.ts"
export { type ConfigError, Providers, type ProviderSettings } from "./broker/Providers.ts"
export { Refresher } from "./broker/Refresher.ts"
export { Renewal } from "./broker/Renewal.ts"
export { TokenStore } from "./broker/TokenStore.ts"
export { Usage } from "./broker/Usage.ts"
export * as AuthorizedFetch from "./client/AuthorizedFetch.ts"
export * as BrokerClient from "./client/BrokerClient.ts"
export * as BrokerClientEnv from "./client/BrokerClientEnv.ts"
export * as GrantsClient from "./client/GrantsClient.ts"
export * as AccountKey from "./domain/AccountKey.ts"
export * as AccountRecord from "./domain/AccountRecord.ts"
export * as AuthEvent from "./domain/AuthEvent.ts"
export * as Errors from "./domain/Errors.ts"
export * as Grant from "./domain/Grant.ts"
export * as NamePattern from "./domain/NamePattern.ts"
export * as Peer from "./domain/Peer.ts"
export type { Revocation } from "./domain/Revocation.ts"
export * as Token from "./domain/Token.ts"
export { Adoptions } from "./import/Adoptions.ts"
export type { Dialect, VendorAnswer, VendorRequest } from "./oauth/Dialect.ts"
export type { ExtrasMigration, Provider, ProviderDefinition, Snapshot } from "./oauth/Provider.ts"
export { ProviderRecord } from "./oauth/ProviderRecord.ts"
export { ProviderDefinitions } from "./providers/ProviderDefinitions.ts"
export { Admission } from "./server/Admission.ts"
export { Audit } from "./server/Audit.ts"
export * as GrantOperations from "./server/GrantOperations.ts"
export { type Granted, type GrantEntry, Grants, type NewGrant } from "./server/Grants.ts"
export * as GrantsHost from "./server/GrantsHost.ts"
export { PeerCredentials } from "./server/PeerCredentials.ts"
export { Questions } from "./server/Questions.ts"
export { UnixServer } from "./server/UnixServer.ts"
