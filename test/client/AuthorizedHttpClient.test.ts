import { overSocket } from "../support/BrokerOverSocket.ts"
import { api, suite } from "./AuthorizedHttpClientContract.ts"

// On the host the provider's record says how the API is used; in a sandbox the program does.
suite("in the process", {}, (host) => host)
suite("over a socket", { api }, overSocket)
