import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import { AccountKey, Broker, defineProvider } from "tokenkeep"

const whoami = Command.make(
  "whoami",
  {},
  Effect.fn(function* () {
    const broker = yield* Broker
    const { extras } = yield* broker.getToken(AccountKey.make("acme"))
    yield* Console.log(`You are ${String(extras["member"])}.`)
  }),
)

export default defineProvider({
  name: "acme",
  record: {
    endpoints: {
      authorization: "https://id.acme.example/authorize",
      token: "https://id.acme.example/token",
    },
    clientId: "acme-cli",
    scopes: ["read"],
    flows: ["pkce_redirect"],
    redirectUris: ["https://id.acme.example/code"],
    publicFields: ["member"],
  },
  dialect: {
    // What we call a member is an account there.
    answer: (answer) => ({ ...answer, body: { ...answer.body, member: answer.body["account_id"] } }),
  },
  snapshot: ({ member }) => ({ member: String(member) }),
  commands: [whoami],
})
