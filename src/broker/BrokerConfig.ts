/**
 * Everything about the broker that can be set, with its default. The only place that knows where things are kept, and
 * together with its environment layer the only one that reads the environment.
 */
import { Context, Duration, Layer } from "effect"

export interface Settings {
  /** The file with the provider records. */
  readonly configFile: string
  /** The folder with one file per account. */
  readonly accountsDirectory: string
  /** The folder with one file per API key. */
  readonly keysDirectory: string
  /** The folder with what we are to servers that a login has found by itself, and where they are. */
  readonly clientsDirectory: string
  /** The file with the counts of what was asked for over sockets. */
  readonly usageFile: string
  /** The folder with the audit log. */
  readonly auditDirectory: string
  /** The folder with the sockets of those who follow the events of all processes. */
  readonly eventsDirectory: string
  /** The folder with the grants that are kept. */
  readonly grantsDirectory: string
  /** The folder with what is known of logins that were adopted from other tools. */
  readonly adoptedDirectory: string
  /** Where `tokenkeep serve` listens unless told otherwise. */
  readonly socketPath: string
  /** The life of a login session. Default: 10 minutes. */
  readonly sessionLifetime: Duration.Duration
  /** Logins that one peer may have in progress; each may hold a listener, and polls the provider. Default: 32. */
  readonly sessionsPerPeer: number
  /** At least this much validity is left in a token that is handed out, if refreshing can give it. Default: 30 s. */
  readonly minimumValidity: Duration.Duration
  /** At most one refresh of an account in this time, or in half the token's life if that is shorter. Default: 30 s. */
  readonly refreshCooldown: Duration.Duration
  /** After a refresh that failed there is none in this time; it doubles with each failure, up to 5 min. Default: 5 s. */
  readonly refreshRetryDelay: Duration.Duration
  /** How long to wait for another process that is busy with the same account. Default: 10 s. */
  readonly lockPatience: Duration.Duration
}

/** The settings of one broker. */
export class BrokerConfig extends Context.Service<BrokerConfig, Settings>()("tokenkeep/broker/BrokerConfig") {
  /** The default settings, with every path under one folder. */
  static readonly defaults = (home: string): Settings => ({
    configFile: `${home}/config.json`,
    accountsDirectory: `${home}/accounts`,
    keysDirectory: `${home}/keys`,
    clientsDirectory: `${home}/clients`,
    usageFile: `${home}/usage.json`,
    auditDirectory: `${home}/audit`,
    eventsDirectory: `${home}/events`,
    grantsDirectory: `${home}/grants`,
    adoptedDirectory: `${home}/adopted`,
    socketPath: `${home}/host.sock`,
    sessionLifetime: Duration.minutes(10),
    sessionsPerPeer: 32,
    minimumValidity: Duration.seconds(30),
    refreshCooldown: Duration.seconds(30),
    refreshRetryDelay: Duration.seconds(5),
    lockPatience: Duration.seconds(10),
  })

  /** Settings in the program: everything under `home`, except for what is overridden. */
  static readonly layer = (home: string, overrides: Partial<Settings> = {}): Layer.Layer<BrokerConfig> =>
    Layer.succeed(this, { ...this.defaults(home), ...overrides })
}
