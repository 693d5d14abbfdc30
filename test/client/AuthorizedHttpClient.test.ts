import { Layer } from "effect"
import { layerClient, layerServer } from "../support/BrokerOverSocket.ts"
import { api, suite } from "./AuthorizedHttpClientContract.ts"

// On the host the provider's record says how the API is used; in a sandbox the program does.
suite("in the process", {}, (host) => host)
suite("over a socket", { api }, (host) =>
  layerClient().pipe(Layer.provide(layerServer({ rateLimit: 60 })), Layer.provideMerge(host)),
)
