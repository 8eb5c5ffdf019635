import { readFileSync } from 'node:fs'

/**
 * The longest time in ms that the event loop was kept from a 10 ms timer while `work` ran. Time in which the main thread waited for other
 * processes to leave a processor to it is not the device's doing and is taken off where the system tells (Linux).
 */
export async function lateness(work: () => Promise<void>): Promise<number> {
  let worst = 0
  let last = now()
  const tick = () => {
    const at = now()
    worst = Math.max(worst, at.time - last.time - (at.waited - last.waited) - 10)
    last = at
  }
  const timer = setInterval(tick, 10)
  await work()
  clearInterval(timer)
  tick()
  return worst
}

const now = () => ({ time: performance.now(), waited: queued() })

/** Milliseconds that the main thread has spent ready to run without a processor. */
function queued(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}
