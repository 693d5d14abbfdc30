/**
 * An account as text: how it is written, and what is meant by what a person types. Nothing here loads Effect, because a
 * program that lives for some milliseconds reads it too.
 */

/** The bucket that is meant when none is named. */
export const defaultBucket = "default"

/** Whether a provider is named by its address: that of a server which tells itself where to log in. */
export const isAddress = (name: string): boolean => /^https?:\/\//.test(name)

/** An address as it is named here, however a person has typed it; any other name as it is. */
export const canonicalName = (text: string): string => {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null
  if (url === null) return text
  // RFC 8707 section 2: a resource has no fragment.
  url.hash = ""
  return url.href
}

/** `provider` for the default bucket, otherwise `provider:bucket`; of an address `address#bucket`. */
export const textOf = (provider: string, bucket: string): string => {
  if (isAddress(provider) && !provider.includes("#")) {
    return bucket === defaultBucket ? provider : [provider, bucket].join("#")
  }
  const encoded = provider.replaceAll("%", "%25").replaceAll(":", "%3A")
  // Joined, not concatenated: V8 keeps the pieces of a concatenation, and a million of these may be kept.
  return bucket === defaultBucket ? encoded : [encoded, bucket].join(":")
}

/** What {@link textOf} was made of. */
export const split = (text: string): { readonly provider: string; readonly bucket: string } => {
  if (isAddress(text)) {
    const mark = text.indexOf("#")
    return mark === -1
      ? { provider: text, bucket: defaultBucket }
      : { provider: text.slice(0, mark), bucket: text.slice(mark + 1) }
  }
  const colon = text.indexOf(":")
  const provider = colon === -1 ? text : text.slice(0, colon)
  return {
    provider: provider.replace(/%(3a|25)/gi, (_, hex) => (hex === "25" ? "%" : ":")),
    bucket: colon === -1 ? defaultBucket : text.slice(colon + 1),
  }
}

/** What a person has typed, as {@link textOf} writes it: people write an address in more than one way; a pattern is what it is. */
export const canonical = (text: string): string => {
  if (text.includes("*")) return text
  const { bucket, provider } = split(text.replace(/^https?:/i, (scheme) => scheme.toLowerCase()))
  return textOf(canonicalName(provider), bucket)
}
