/** Work on the event loop may take this long before others get their turn, ms. */
const patience = 10

const node = typeof process === 'object' && process.versions?.node !== undefined

/** Lets everything else on the event loop run once. */
export const turn: () => Promise<void> = node
  ? () => new Promise(done => setImmediate(done))
  : () =>
      new Promise(done => {
        const { port1, port2 } = new MessageChannel()
        port1.onmessage = () => {
          port1.close()
          done()
        }
        port2.postMessage(0)
      })

/** Counts the time since the event loop last had a turn, over all work that shares this breath. Start each piece of such work with `pause`. */
export class Breath {
  #since = performance.now()

  /** Milliseconds of work left before the loop must turn. */
  get left(): number {
    return patience - (performance.now() - this.#since)
  }
  async turn(): Promise<void> {
    await turn()
    this.#since = performance.now()
  }
  /** Gives way if it is time; resolves at once otherwise. */
  pause(): Promise<void> | undefined {
    return this.left > 0 ? undefined : this.turn()
  }
}
