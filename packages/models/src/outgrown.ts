import { ropeEdge } from '@attune/position'
import { AttuneError } from '@attune/tensor'
import { noOutput } from './probes.ts'
import type { Runner } from './runner.ts'
import type { Sequence, StepWork } from './runner-types.ts'
import type { DecoderSpec } from './spec.ts'
import { maximum } from './step-inputs.ts'

/** What a sequence was fed, the length it is known to reach, and the one its keys were turned for. */
interface Told {
  readonly ids: number[]
  readonly positions: number[]
  span: number
  turned: number
}

/** What a runner does to begin a sequence anew. */
type Renewing = Pick<Runner, 'trim' | 'step' | 'chunk'>

/**
 * Models of some positions (LongRoPE) turn a sequence that outgrows a length by other frequencies from its first token on: what such
 * sequences were fed is kept, and fed once more when they do.
 */
export class Outgrown {
  /** Lengths that part sequences; none for most models. */
  readonly edges: readonly number[]
  readonly #told = new WeakMap<Sequence, Told>()

  /** `drawn` reads the token drawn last in a batch row, which −1 stands for. */
  constructor(
    { layers }: DecoderSpec,
    readonly drawn: (row: number) => Promise<Uint8Array>,
  ) {
    const edges = layers.map(({ attention: { position } }) => (position.kind === 'rope' ? ropeEdge(position) : undefined))
    this.edges = [...new Set(edges)].filter(edge => edge !== undefined)
  }

  /**
   * Makes the sequences of a step ready for it: those that it takes across an edge are fed once more. Returns the length that each is known
   * to reach. Errors: `ERR_UNSUPPORTED` where a sequence's tokens are not known.
   */
  async before(items: readonly StepWork[], runner: Renewing, signal?: AbortSignal): Promise<number[]> {
    const spans: number[] = []
    for (const w of items) spans.push(await this.#ready(w, runner, signal))
    return spans
  }
  async #ready(w: StepWork, runner: Renewing, signal?: AbortSignal): Promise<number> {
    const { sequence } = w
    const { rows } = sequence
    const own = Math.max(w.span ?? 0, w.positions ? 1 + maximum(w.positions) : sequence.position + w.ids.length)
    if (this.edges.length === 0) return own
    const told = this.#told.get(sequence) ?? { ids: [], positions: [], span: sequence.position, turned: sequence.position }
    if (told.ids.length > rows) told.span = 1 + maximum([-1, ...told.positions.slice(0, rows)]) // it was trimmed
    const span = Math.max(own, rows > 0 ? told.span : 0)
    const token = async (id: number) => (id < 0 ? new Int32Array((await this.drawn(sequence.row)).slice().buffer)[0] : id)
    const ids = await Promise.all(Array.from(w.ids, token))
    const positions = w.positions ? Array.from(w.positions) : ids.map((_, i) => sequence.position + i)
    const edge = rows > 0 ? this.edges.find(e => told.turned > e !== span > e) : undefined
    if (edge !== undefined) {
      if (told.ids.length < rows)
        throw new AttuneError(
          'ERR_UNSUPPORTED',
          `the model turns sequences of more than ${edge} positions otherwise from their first token on, and the first ${rows} tokens of this one are not known: begin it anew`,
          { edge, rows },
        )
      const past = { ids: told.ids.slice(0, rows), positions: told.positions.slice(0, rows) }
      runner.trim(sequence, 0)
      for (let at = 0, to: number; at < rows; at = to) {
        to = at + runner.chunk
        const again = { sequence, ids: past.ids.slice(at, to), positions: past.positions.slice(at, to), span }
        await runner.step([again], noOutput, { signal })
      }
    }
    const known = told.ids.length >= rows ? rows : 0
    told.ids.length = told.positions.length = known
    told.ids.push(...ids)
    told.positions.push(...positions)
    told.span = told.turned = span
    this.#told.set(sequence, told)
    return span
  }
  /** A sequence goes on as a copy of another. */
  copy(from: Sequence, to: Sequence): void {
    const told = this.#told.get(from)
    if (told) this.#told.set(to, { ...told, ids: [...told.ids], positions: [...told.positions] })
  }
}
