import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const here = (/** @type {string} */ file) => fileURLToPath(new URL(file, import.meta.url))

/** A contender's process. */
export class Side {
  #child
  /** @type {((line: string) => void)[]} */
  #waiting = []
  #rest = ''
  #errors = ''
  #ended = false
  /** @param {string} name @param {{ python?: string }} [options] */
  constructor(name, { python } = {}) {
    this.name = name
    const [command, args] = python ? [python, [here(`contenders/${name}.py`)]] : [process.execPath, [here('contender.mjs'), name]]
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child.stdin.on('error', () => {})
    this.#child.stderr.on('data', d => (this.#errors = `${this.#errors}${d}`.slice(-2000)))
    this.#child.stdout.on('data', d => {
      this.#rest += d
      for (let at = this.#rest.indexOf('\n'); at >= 0; at = this.#rest.indexOf('\n')) {
        const line = this.#rest.slice(0, at)
        this.#rest = this.#rest.slice(at + 1)
        // Peers print notes of their own.
        if (line.startsWith('{')) this.#waiting.shift()?.(line)
      }
    })
    this.#child.on('close', () => {
      this.#ended = true
      for (const done of this.#waiting.splice(0)) done(this.#end())
    })
  }
  #end() {
    return JSON.stringify({ error: `ended: ${this.#errors.trim()}` })
  }
  /** Sends a line and waits for the answer. @param {unknown} value @returns {Promise<Record<string, any>>} */
  async ask(value) {
    const answer = new Promise(done => (this.#ended ? done(this.#end()) : this.#waiting.push(done)))
    if (!this.#ended) this.#child.stdin.write(`${JSON.stringify(value)}\n`)
    const told = JSON.parse(/** @type {string} */ (await answer))
    if (told.error) throw new Error(`${this.name}: ${told.error}`)
    return told
  }
  close() {
    this.#child.kill()
  }
}
