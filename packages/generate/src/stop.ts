/** Watches streamed text for stop strings and holds back what may be the start of one. */
export class StopWatch {
  #held = ''
  constructor(readonly stops: readonly string[]) {}

  /** Text that may be shown now, and whether a stop string was met (which is not shown). */
  push(text: string): { text: string; stopped: boolean } {
    this.#held += text
    const at = Math.min(...this.stops.map(s => this.#held.indexOf(s)).filter(i => i >= 0))
    if (Number.isFinite(at)) {
      const shown = this.#held.slice(0, at)
      this.#held = ''
      return { text: shown, stopped: true }
    }
    let keep = 0
    for (const s of this.stops)
      for (let n = Math.min(s.length - 1, this.#held.length); n > keep; n--) if (this.#held.endsWith(s.slice(0, n))) keep = n
    const shown = this.#held.slice(0, this.#held.length - keep)
    this.#held = this.#held.slice(this.#held.length - keep)
    return { text: shown, stopped: false }
  }
  /** What was held back, once no more text comes. */
  rest(): string {
    const text = this.#held
    this.#held = ''
    return text
  }
}
