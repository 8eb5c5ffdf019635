import { type Model, type ModelDefinition, modelFrom } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import { type Checkpoint, ggufCheckpoint, openCheckpoint } from '@attune/weights'
import { type Conversion, type ConvertOptions, carryOut, type LayerKeeper } from './convert.ts'
import { dryRun } from './dry-run.ts'
import { type ExportOptions, exportTo } from './export.ts'
import { exportGguf, type GgufTarget } from './export-gguf.ts'
import { sha256 } from './hash.ts'
import { Journal } from './journal.ts'
import { type KeptLayer, keepLayer, keptForm } from './kept-layer.ts'
import type { Plan } from './plan.ts'
import type { ConversionRecord } from './record.ts'
import { type ReplayOptions, replay } from './replay.ts'
import { applyConversion } from './restore.ts'
import { sorted } from './same-data.ts'
import { sourceIdentity } from './source-identity.ts'
import { windowsOf } from './windows.ts'
import type { WorkFolder, WorkStream } from './work-folder.ts'

/** A conversion whose finished layers lie in a folder. */
export interface KeptConversion extends Conversion {
  readonly journal: Journal
  /** Layers that an earlier run had finished. */
  readonly resumed: number
}

/**
 * Converts as `convert` does and keeps every finished layer, and the residual stream after it, in `work`: a run that was ended at any
 * moment goes on after its last whole layer, and makes the same bytes. Converted weights of the model are read from there.
 * Errors: those of `convert`; `ERR_CONVERSION` naming what differs when `work` holds another conversion; `ERR_WRITE`.
 */
export async function convertKept(
  folder: WorkFolder,
  model: Model,
  plan: Plan,
  source: Checkpoint,
  options: ConvertOptions = {},
): Promise<KeptConversion> {
  const work = guarded(folder)
  const { calibration = [], heldOut = [], window = 512, seed = 0, sequential = false, device, signal } = options
  const asked = { calibrationTokens: calibration.length, heldOutTokens: heldOut.length, window }
  const planned = dryRun(model, plan, asked)
  const walks = planned.calibrationTokens > 0 || heldOut.length > 1
  const journal = await Journal.open(work, {
    plan: sorted(plan),
    source: await sourceIdentity(source, signal),
    calibration: await idsHash(calibration),
    heldOut: await idsHash(heldOut),
    ...{ window, seed, sequential },
    device: walks ? device?.name : undefined,
  })
  const finished: LayerKeeper['finished'][number][] = []
  for (const { layer, kept, report } of journal.layers) {
    if (!kept || !report) continue
    if ((await work.hash(kept.file, 'parts')) !== kept.sha256)
      throw new AttuneError('ERR_FORMAT', `${work.name}: ${kept.file} is not what the journal wrote; restart the conversion`, { layer })
    finished.push({ form: keptForm(work, model, layer, kept), report })
  }
  const last = journal.layers.at(-1)
  let stream: WorkStream | undefined
  let kept: KeptLayer | undefined
  const keeper: LayerKeeper = {
    finished,
    from: last ? last.layer + 1 : 0,
    async keep(index, form) {
      kept = JSON.parse(JSON.stringify(await keepLayer(work, model, index, form))) as KeptLayer
      return keptForm(work, model, index, kept)
    },
    async done(layer, report) {
      await journal.layer({ layer, ...(report ? { kept, report } : {}), ...(stream ? { stream: await stream.state() } : {}) })
      kept = undefined
    },
  }
  try {
    if (walks && planned.layers.some(l => l.layer > (last?.layer ?? -1))) stream = await work.stream(last?.stream)
    const [conversion] = await carryOut(model, [plan], { ...options, spill: stream }, keeper)
    return { ...conversion, journal, resumed: finished.length }
  } finally {
    await stream?.close()
  }
}

/** What a result is measured with once it is written. */
export interface Measuring extends Pick<ReplayOptions, 'device' | 'onLayer'> {
  /** The model that was converted. */
  readonly source: Model
  readonly heldOut: ArrayLike<number>
  readonly window?: number
}

export interface KeptExportOptions extends ExportOptions {
  readonly measuring?: Measuring
}

/** Writes a model of kept layers as `exportModel` does. Files that an earlier run finished with the same settings are taken as they are. */
export async function exportKept(
  journal: Journal,
  model: Model,
  source: Checkpoint,
  options: KeptExportOptions = {},
): Promise<ConversionRecord> {
  const { work } = journal
  const { maxShardBytes, hashes = true } = options
  const spec = await sha256(new TextEncoder().encode(JSON.stringify(sorted(model.spec))))
  await journal.writing({ dtype: options.dtype ?? 'as-stored', maxShardBytes, hashes, spec })
  const finished = new Map<string, unknown>()
  for (const { file, sha256, state } of journal.files) if ((await work.hash(file, 'result')) === sha256) finished.set(file, state)
  const { result } = work
  const commit = async () => {
    await journal.whole()
    await result.commit()
  }
  return exportTo({ ...result, commit }, model, source, options, {
    hash: file => work.hash(file, 'result'),
    finished: file => finished.get(file),
    onFile: (file, sha256, state) => journal.file({ file, sha256, state }),
    async about(record, definition) {
      const written = await openCheckpoint(await work.written())
      try {
        return await measured(work, model, record, definition, written, options)
      } finally {
        await written.close()
      }
    },
  })
}

/** Writes a model of kept layers as one GGUF file, `fileName`. */
export async function exportKeptGguf(
  journal: Journal,
  fileName: string,
  model: Model,
  source: Checkpoint,
  options: KeptExportOptions = {},
): Promise<ConversionRecord> {
  const { parts, result, open } = journal.work
  const nothing = async () => {}
  const commit = async () => {
    await journal.whole()
    await result.commit()
  }
  const target: GgufTarget = {
    fileName,
    trial: { ...parts, commit: nothing, discard: nothing },
    opened: async () => ggufCheckpoint(await open(fileName)),
    out: { ...result, commit },
    about: (record, definition, written) => measured(journal.work, model, record, definition, written, options),
  }
  return exportGguf(target, model, source, options)
}

async function measured(
  work: WorkFolder,
  { variants }: Model,
  record: ConversionRecord,
  definition: ModelDefinition,
  written: Checkpoint,
  { measuring, signal }: KeptExportOptions,
): Promise<Partial<ConversionRecord>> {
  if (!measuring) return {}
  const { source, heldOut, window = 512, device, onLayer } = measuring
  const windows = windowsOf(heldOut, window)
  // What is not a sequence of layers alone cannot be run a layer at a time.
  if (windows.length === 0 || source.spec.encoder) return {}
  const stream = await work.stream()
  try {
    const conversion = JSON.parse(JSON.stringify(record)) as Record<string, unknown>
    const made = await applyConversion({ ...written, conversion }, modelFrom(written, definition, variants))
    const layers = record.report?.layers.map(l => l.layer) ?? []
    const replayed = await replay(source, made, { device, windows, layers, spill: stream, signal, onLayer })
    return {
      heldOut: { tokens: replayed.tokens, window, ids: Array.prototype.join.call(heldOut, ' ') },
      measured: { ...replayed, device: device.name },
    }
  } finally {
    await stream.close()
  }
}

const idsHash = (ids: ArrayLike<number>): Promise<string> => sha256(new Uint8Array(Int32Array.from(ids).buffer))

/** Failures of the system to read or write the folder, as errors that say where what was finished lies. */
function guarded(work: WorkFolder): WorkFolder {
  const guard =
    <A extends unknown[], R>(run: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      try {
        return await run(...args)
      } catch (error) {
        if (error instanceof AttuneError) throw error
        const { code, message } = error as NodeJS.ErrnoException
        throw new AttuneError(
          'ERR_WRITE',
          `${work.name} cannot be written: ${message}; what was finished is kept there, and the same conversion goes on from it`,
          { folder: work.name, ...(code ? { code } : {}) },
          error,
        )
      }
    }
  const create = (run: WorkFolder['parts']['create']) =>
    guard(async (file: string) => {
      const out = await run(file)
      return { write: guard((bytes: Uint8Array) => out.write(bytes)), finish: guard(() => out.finish()) }
    })
  return {
    name: work.name,
    journal: guard(() => work.journal()),
    append: guard(line => work.append(line)),
    open: guard(file => work.open(file)),
    hash: guard((file, where) => work.hash(file, where)),
    clear: guard(() => work.clear()),
    written: guard(() => work.written()),
    parts: { create: create(file => work.parts.create(file)) },
    result: {
      create: create(file => work.result.create(file)),
      commit: guard(() => work.result.commit()),
      discard: guard(() => work.result.discard()),
    },
    stream: guard(async state => {
      const s = await work.stream(state)
      return {
        put: guard((w, x) => s.put(w, x)),
        get: guard(w => s.get(w)),
        turn: guard(() => s.turn()),
        note: guard((w, x) => s.note(w, x)),
        noted: guard(w => s.noted(w)),
        state: guard(() => s.state()),
        close: guard(() => s.close()),
      }
    }),
  }
}
