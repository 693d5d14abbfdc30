/**
 * Commands for a command line of one's own. `auth` brings everything with it; of the single commands `login`, `token`
 * and `logout` need a `Broker`, `status` needs `LoginStatus`, and each the flags of `GlobalFlags`.
 */
export { type AuthOptions, make as auth } from "./Auth.ts"
export * as ExitCode from "./ExitCode.ts"
export * as Failures from "./Failures.ts"
export * as GlobalFlags from "./GlobalFlags.ts"
export { login } from "./Login.ts"
export * as LoginStatus from "./status/LoginStatus.ts"
export type { LoginWords } from "./login/LoginWords.ts"
export { logout } from "./Logout.ts"
export { ProgramName } from "./ProgramName.ts"
export { status } from "./Status.ts"
export { token } from "./Token.ts"
