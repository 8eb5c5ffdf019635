import { readFileSync } from 'node:fs'

/** Watches how long a process's main thread stands ready without a processor: other processes' doing, not its own. */
export function watchQueue(pid: number) {
  const samples: { time: number; waited: number }[] = []
  const sample = () => samples.push({ time: performance.timeOrigin + performance.now(), waited: queued(pid) })
  sample()
  const timer = setInterval(sample, 5)
  return {
    stop() {
      clearInterval(timer)
      sample()
    },
    /** Milliseconds in the queue between two moments of the wall clock, as finely as it was watched. */
    waited(from: number, to: number): number {
      const before = samples.findLast(s => s.time <= from - slack) ?? samples[0]
      const after = samples.find(s => s.time >= to + slack) ?? samples[samples.length - 1]
      return after.waited - before.waited
    },
  }
}

/** Two processes need not agree on the time to the millisecond. */
const slack = 5

function queued(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}
