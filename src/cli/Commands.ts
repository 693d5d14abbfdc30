/**
 * The commands, each with what it runs on. Most of a short life is spent on loading code, so only the command that was typed
 * is loaded; all of them are where somebody asks what there is.
 */
import { Effect } from "effect"
import { Command } from "effect/cli"
import * as Services from "./Services.ts"

const load = {
  login: () => import("./Login.ts").then(({ login }) => login.pipe(Command.provide(Services.either))),
  token: () => import("./Token.ts").then(({ token }) => token.pipe(Command.provide(Services.either))),
  status: () => import("./Status.ts").then(({ status }) => status.pipe(Command.provide(Services.either))),
  logout: () => import("./Logout.ts").then(({ logout }) => logout.pipe(Command.provide(Services.either))),
  serve: () => import("./Serve.ts").then(({ serve }) => serve.pipe(Command.provide(Services.local))),
  exec: () => import("./Exec.ts").then(({ exec }) => exec),
  provider: () => import("./Provider.ts").then(({ provider }) => provider.pipe(Command.provide(Services.local))),
  key: () => import("./Key.ts").then(({ key }) => key),
  helper: () =>
    import("./Helper.ts").then(({ helper }) =>
      helper.pipe(Command.provide(Services.either), Command.provide(Services.places)),
    ),
  import: () => import("./Import.ts").then(({ importing }) => importing),
  grant: () => import("./Grant.ts").then(({ grant }) => grant.pipe(Command.provide(Services.places))),
  approve: () => import("./Approve.ts").then(({ approve }) => approve.pipe(Command.provide(Services.places))),
  audit: () => import("./Audit.ts").then(({ audit }) => audit.pipe(Command.provide(Services.places))),
  doctor: () => import("./Doctor.ts").then(({ closed, doctor }) => doctor.pipe(Command.provide(closed))),
  events: () => import("./Events.ts").then(({ events }) => events.pipe(Command.provide(Services.places))),
} as const

type Name = keyof typeof load

const isName = (text: string | undefined): text is Name => text !== undefined && Object.hasOwn(load, text)

/** What the commands are called. */
export const names: ReadonlyArray<string> = Object.keys(load)

/** The command that these arguments begin with; all commands, if that is none. */
export const forArguments = ([first]: ReadonlyArray<string>) =>
  Effect.promise(() =>
    isName(first) ? load[first]().then((command) => [command]) : Promise.all(Object.values(load).map((each) => each())),
  )
