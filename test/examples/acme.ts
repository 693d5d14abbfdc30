import { homedir } from "node:os"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { BrokerConfig, defineProvider } from "tokenkeep"
import { auth } from "tokenkeep/cli"

const id = defineProvider({
  name: "id",
  record: { issuer: "https://id.acme.example", clientId: "acme-cli", scopes: ["models"], flows: ["device_code"] },
})
const config = BrokerConfig.layer(`${homedir()}/.acme`)

const acme = Command.make("acme").pipe(Command.withSubcommands([auth({ program: "acme", providers: [id], config })]))

Command.run(acme, { version: "1.0.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
