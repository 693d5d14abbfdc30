/** The median of several runs, in milliseconds, after one that does not count. */
export const median = async (runs: number, work: () => void | Promise<void>): Promise<number> => {
  await work()
  const times: Array<number> = []
  for (let i = 0; i < runs; i++) {
    const begun = performance.now()
    await work()
    times.push(performance.now() - begun)
  }
  return times.toSorted((a, b) => a - b)[Math.floor(runs / 2)] ?? 0
}

export const milliseconds = (time: number): string => `${time.toFixed(time < 10 ? 3 : 1)} ms`
