/** A 10 ms timer that remembers how late it was at worst. */
export class Pulse {
  #latest = 0
  #ticks = 0
  #last = performance.now()
  #timer = setInterval(() => this.#tick(), 10)

  #tick() {
    const now = performance.now()
    this.#latest = Math.max(this.#latest, now - this.#last - 10)
    this.#last = now
    this.#ticks++
  }
  /** Lateness in ms, the wait under way included. */
  stop() {
    this.#tick()
    clearInterval(this.#timer)
    return { latest: Math.round(this.#latest * 10) / 10, ticks: this.#ticks }
  }
}
