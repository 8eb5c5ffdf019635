import { readdir, readFile } from 'node:fs/promises'

/** Watches the resident memory of this process and all below it. Where there is no /proc only this process counts. */
export class PeakMemory {
  #most = 0
  readonly #timer = setInterval(() => void this.#sample(), 250).unref()

  /** Most bytes resident at once so far. */
  async bytes(): Promise<number> {
    await this.#sample()
    return Math.max(this.#most, process.resourceUsage().maxRSS * 1024)
  }
  stop(): void {
    clearInterval(this.#timer)
  }
  async #sample(): Promise<void> {
    this.#most = Math.max(this.#most, process.memoryUsage.rss() + (await below(process.pid)))
  }
}

const PAGE = 4096

async function below(root: number): Promise<number> {
  const pids = (await readdir('/proc').catch(() => [])).filter(n => /^\d+$/.test(n)).map(Number)
  const parents = new Map<number, number>()
  const sizes = new Map<number, number>()
  for (const pid of pids) {
    // After the name in brackets: state, parent, …, resident pages as the 22nd.
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    parents.set(pid, Number(fields[1]))
    sizes.set(pid, Number(fields[21]) * PAGE || 0)
  }
  const within = (pid: number | undefined): boolean => pid !== undefined && pid > 1 && (pid === root || within(parents.get(pid)))
  return pids.filter(pid => pid !== root && within(pid)).reduce((sum, pid) => sum + sizes.get(pid)!, 0)
}
