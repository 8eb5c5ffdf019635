import { AttuneError } from '@attune/tensor'
import type { KeptLayer } from './kept-layer.ts'
import type { LayerReport } from './report.ts'
import { sameData } from './same-data.ts'
import type { WorkFolder } from './work-folder.ts'

/** Format of the journal. */
const JOURNAL = 1

/** What makes two runs the same conversion. Each key is a thing that a message can name. */
export type Identity = Readonly<Record<string, unknown>>

/** A layer that the walk is through. */
export interface LayerLine {
  readonly layer: number
  readonly kept?: KeptLayer
  readonly report?: LayerReport
  /** The residual stream after it. */
  readonly stream?: unknown
}
/** A file of the result that is finished. */
export interface FileLine {
  readonly file: string
  readonly sha256?: string
  /** What the writer had added up by its end. */
  readonly state: unknown
}

/** A conversion's journal: JSON lines, the first says whose it is, each of the others says what is finished. */
export class Journal {
  readonly layers: LayerLine[] = []
  /** Files of the result, for the settings they were written with. */
  files: FileLine[] = []
  /** True once every file of the result is finished. */
  complete = false
  #written: unknown
  private constructor(readonly work: WorkFolder) {}

  /**
   * Opens the journal in a folder, or begins one. Errors: `ERR_CONVERSION` when it is another conversion's, naming what differs;
   * `ERR_FORMAT` when it is damaged.
   */
  static async open(work: WorkFolder, identity: Identity): Promise<Journal> {
    const journal = new Journal(work)
    const [first, ...rest] = await work.journal()
    if (first === undefined) await work.append(JSON.stringify({ journal: JOURNAL, ...identity }))
    else journal.#check(parsed(work, first, 1), identity)
    for (const [i, line] of rest.entries()) journal.#take(parsed(work, line, i + 2), i + 2)
    return journal
  }

  async layer(line: LayerLine): Promise<void> {
    this.layers.push(line)
    await this.work.append(JSON.stringify(line))
  }
  /** Files written from here on belong to these settings; those of others do not count. */
  async writing(settings: Identity): Promise<void> {
    if (this.#written !== undefined && sameData(this.#written, settings)) return
    this.#written = settings
    this.files = []
    this.complete = false
    await this.work.append(JSON.stringify({ writing: settings }))
  }
  async file(line: FileLine): Promise<void> {
    this.files.push(line)
    await this.work.append(JSON.stringify(line))
  }
  async whole(): Promise<void> {
    this.complete = true
    await this.work.append(JSON.stringify({ complete: true }))
  }

  #check({ journal, ...own }: Record<string, unknown>, identity: Identity): void {
    if (journal !== JOURNAL)
      throw new AttuneError(
        'ERR_FORMAT',
        `${this.work.name}: its journal has format ${JSON.stringify(journal)}, this version reads ${JOURNAL}`,
        {},
      )
    const keys = [...new Set([...Object.keys(own), ...Object.keys(identity)])]
    const differs = keys.filter(key => !sameData(own[key] ?? null, jsonOf(identity[key]) ?? null))
    if (differs.length === 0) return
    const what = differs.map(key => `${key} (${short(own[key])}, now ${short(identity[key])})`).join(', ')
    throw new AttuneError(
      'ERR_CONVERSION',
      `${this.work.name} holds an unfinished conversion that differs in ${what}: restart it to begin anew, or name another folder`,
      { differs, folder: this.work.name },
    )
  }
  #take(line: Record<string, unknown>, number: number): void {
    if ('layer' in line) {
      if (this.layers.some(l => l.layer >= (line.layer as number))) throw damaged(this.work, number)
      this.layers.push(line as unknown as LayerLine)
    } else if ('writing' in line) {
      this.#written = line.writing
      this.files = []
      this.complete = false
    } else if ('file' in line) this.files.push(line as unknown as FileLine)
    else if (line.complete === true) this.complete = true
    else throw damaged(this.work, number)
  }
}

const jsonOf = (x: unknown): unknown => (x === undefined ? undefined : JSON.parse(JSON.stringify(x)))
const short = (x: unknown): string => {
  const text = JSON.stringify(x) ?? 'nothing'
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}
const damaged = ({ name }: WorkFolder, number: number) =>
  new AttuneError('ERR_FORMAT', `${name}: line ${number} of its journal is damaged; restart the conversion`, { line: number })

function parsed(work: WorkFolder, line: string, number: number): Record<string, unknown> {
  try {
    const value = JSON.parse(line)
    if (typeof value === 'object' && value !== null) return value
  } catch {}
  throw damaged(work, number)
}
