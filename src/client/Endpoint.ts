/**
 * Where a host is, whether it is to be trusted with a capability, and what a descriptor holds. Nothing here loads Effect,
 * because a program that lives for some milliseconds asks too.
 */
import { fstatSync, readSync, statSync } from "node:fs"
import { root, uid, unmapped } from "../system/Ownership.ts"

/** As it is written by the host: an IPv6 address is in brackets. */
const tcp = /^tcp:\/\/(?:\[([0-9a-f:.]+)\]|([^/:@]+)):(\d{1,5})$/i

/** What to connect to. */
export const endpointOf = (address: string) => {
  const [, ipv6, name, port] = tcp.exec(address) ?? []
  const host = ipv6 ?? name
  return host === undefined ? { path: address } : { host, port: Number(port) }
}

/**
 * Whether the socket's owner could not have put it in the place of the host's. In a container root is told nothing by a
 * number, and what is mounted there was mounted by the host. Throws where there is no telling who owns it.
 */
export const isOfTrusted = (path: string): boolean => {
  const owner = statSync(path, { throwIfNoEntry: false })?.uid
  const us = uid()
  return owner === undefined || us === -1 || us === root || [us, root, unmapped].includes(owner)
}

/** More than a capability has. */
const longest = 512

/** What is no capability is shown to nobody: the number may be that of another file by now. */
export const isCapability = (text: string): boolean => /^[!-~]+$/.test(text)

/** Whether what is behind a descriptor can be read again. */
export const isFile = (descriptor: number): boolean => fstatSync(descriptor).isFile()

/** What is behind a descriptor. A file is read from its beginning, wherever whoever shares it has read to. */
export const contentOf = (descriptor: number): string => {
  const bytes = Buffer.alloc(longest + 1)
  const isWhole = isFile(descriptor)
  let length = 0
  let count = 0
  do {
    count = readSync(descriptor, bytes, length, bytes.length - length, isWhole ? length : null)
    length += count
  } while (count > 0 && length < bytes.length)
  return length > longest ? "" : bytes.toString("utf8", 0, length).trimEnd()
}
