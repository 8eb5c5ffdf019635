import { readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type ConvertOptions, convert, type Plan } from '@attune/convert'
import { exportFolder } from '@attune/convert/node'
import * as types from '@attune/models'
import { allLogits, type EncoderDefinition, type Model, type ModelDefinition, modelFrom, Runner } from '@attune/models'
import { AttuneError, reference } from '@attune/tensor'
import { type Checkpoint, openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { everyVariant } from '../../packages/convert/test/every-variant.ts'

// node export.js FIXTURES TARGET: writes each tiny checkpoint as it is and in every form it converts to, with the logits attune gives it.
const [fixtures, target] = process.argv.slice(2)
const device = reference()
const definitions = new Map<string, ModelDefinition | EncoderDefinition>(
  (Object.values(types) as any[]).filter(d => d && typeof d === 'object' && 'layout' in d && 'spec' in d).map(d => [d.type, d]),
)
const plansOf = ({ spec }: Model): readonly (readonly [string, Plan | undefined])[] => [
  ['as-it-was', undefined],
  ['mha', { layers: [{ layers: 'all', to: 'mha' }] }],
  ['first-mqa', { layers: [{ layers: [0], to: 'mqa', method: 'mean' }] }],
  ['mqa', { layers: [{ layers: 'all', to: 'mqa', method: 'least-squares' }] }],
  ['mla', { layers: [{ layers: 'all', to: 'mla', method: 'transmla', config: { latentNorm: true, ropeDim: turned(spec) } }] }],
]
const turned = ({ layers: [{ attention }] }: Model['spec']) => (attention.position.kind === 'rope' ? attention.position.dims : 0)

for (const folder of readdirSync(fixtures, { recursive: true, encoding: 'utf8' }).sort()) {
  if (!/(^|\/)config\.json$/.test(folder)) continue
  const name = dirname(folder)
  const source = await openCheckpoint(await diskFolder(join(fixtures, name)))
  const definition = definitions.get(source.config.model_type as string)
  if (definition && definition.kind !== 'encoder') {
    const model = modelFrom(source, definition, everyVariant)
    for (const [how, plan] of plansOf(model)) await write(name, how, source, model, plan)
  }
  await source.close()
}

async function write(name: string, how: string, source: Checkpoint, model: Model, plan: Plan | undefined): Promise<void> {
  const ids = Array.from({ length: 24 }, (_, i) => (i * i * 7 + 3 * i + 1) % model.spec.vocab)
  const folder = join(target, `${name.replaceAll('/', '.')}.${how}`)
  const options: ConvertOptions = {
    device,
    calibration: Array.from({ length: 256 }, (_, i) => (i * 31 + ((i * i) >> 3)) % model.spec.vocab),
    window: 32,
  }
  try {
    if (plan && model.spec.encoder) throw new AttuneError('ERR_UNSUPPORTED', 'it has an encoder', {})
    const made = plan ? (await convert(model, plan, options)).model : model
    await exportFolder(made, folder, source, { hashes: false, dtype: 'f32' })
    const logits = model.spec.encoder ? undefined : [...(await logitsOf(made, ids))]
    writeFileSync(
      join(folder, 'attune.json'),
      JSON.stringify({ name, how, source: join(fixtures, name), ids, logits, shape: [ids.length, made.spec.vocab] }),
    )
  } catch (error) {
    if (!(error instanceof AttuneError)) throw error
    console.log(`${name} ${how}: refused: ${error.message}`)
  }
}

async function logitsOf(model: Model, ids: readonly number[]): Promise<Float32Array> {
  const runner = new Runner(model, device)
  try {
    const r = await runner.step([{ sequence: runner.open(), ids }], allLogits)
    return (await r.read('logits')).data as Float32Array
  } finally {
    await runner.dispose()
  }
}
