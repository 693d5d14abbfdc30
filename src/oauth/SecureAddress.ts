/**
 * The rule of {@link SecureUrl}. Nothing here loads Effect, because a program that lives for some milliseconds asks it too.
 */

const isLoopbackHost = (hostname: string): boolean =>
  hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname)

/** Whether a login may go there: by https, or within this machine. */
export const isSecure = (url: URL): boolean =>
  (url.protocol === "https:" || (url.protocol === "http:" && isLoopbackHost(url.hostname))) &&
  url.username === "" &&
  url.password === ""
