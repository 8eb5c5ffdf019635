import type { Io } from './io.ts'

/** Progress of long work: a bar that rewrites itself on a terminal, a plain line per tenth elsewhere, nothing when quiet. */
export class Progress {
  #shown = -1
  #label = ''
  constructor(
    readonly io: Io,
    readonly quiet: boolean,
  ) {}

  update(label: string, done: number, total: number): void {
    if (this.quiet) return
    const share = total > 0 ? Math.min(1, done / total) : 0
    const step = Math.floor(share * (this.io.stderrIsTty ? 100 : 10))
    if (label === this.#label && step === this.#shown) return
    if (label !== this.#label) this.end()
    this.#label = label
    this.#shown = step
    if (!this.io.stderrIsTty) {
      if (share === 0 || share === 1) this.io.err(`${label} ${share === 1 ? 'done' : '…'}\n`)
      return
    }
    const width = 24
    const full = Math.round(share * width)
    this.io.err(`\r\x1b[2K${label} ${'█'.repeat(full)}${'░'.repeat(width - full)} ${Math.round(share * 100)} %`)
    if (share === 1) this.end()
  }
  /** A line of its own. */
  note(text: string): void {
    if (this.quiet) return
    this.end()
    this.io.err(`${text}\n`)
  }
  end(): void {
    if (this.#label && this.io.stderrIsTty) this.io.err('\n')
    this.#label = ''
    this.#shown = -1
  }
}
