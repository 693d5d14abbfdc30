/**
 * Loaded into a server before its program, with --expose-gc: then it holds what it needs and no more. Tells its parent
 * how much that is.
 */
setInterval(() => {
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" })
  const { external, heapUsed } = process.memoryUsage()
  process.send?.(heapUsed + external)
}, 200).unref()
