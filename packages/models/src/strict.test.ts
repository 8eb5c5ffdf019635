import type { ParamTree } from '@attune/nn'
import { AttuneError } from '@attune/tensor'
import type { Checkpoint, Layout } from '@attune/weights'
import { expect, it } from 'vitest'
import { type AnyDefinition, definitions, folders, openFolder, paramsOf } from '../test/checkpoints.ts'
import generic from '../test/default-configs.json' with { type: 'json' }
import deleted from '../test/deleted-keys.json' with { type: 'json' }
import encoders from '../test/encoder-configs.json' with { type: 'json' }
import gpt from '../test/gpt-configs.json' with { type: 'json' }
import rope from '../test/rope-configs.json' with { type: 'json' }
import { valuesFromFiles } from './index.ts'

type Json = Readonly<Record<string, unknown>>
const ODD = 'surprise'
/** By folder and path of a deleted key: what transformers reads instead, by key; null where it refuses. See internal/oracles/deleted-keys.py. */
const instead = deleted as Readonly<Record<string, Readonly<Record<string, Json | null>>>>
/** What transformers takes for a key that a type's config lacks, for folders that `instead` does not have yet. */
const defaults = { ...generic, ...rope, ...gpt, ...encoders } as unknown as Readonly<Record<string, { readonly filled: Json }>>
const insteadOf = (folder: string, type: string, path: readonly string[]): Json | null | undefined => {
  const known = instead[folder]
  if (known) return known[path.join('.')]
  const filled = defaults[type]?.filled ?? {}
  return path[0] in filled ? { [path[0]]: filled[path[0]] } : undefined
}

interface Meaning {
  readonly spec: string
  /** Which tensor each parameter is. */
  readonly files: string
}
type Said = Meaning | AttuneError

/** What checkpoints of a type mean, or the error that names what is wrong. */
function reader(definition: AnyDefinition): (checkpoint: Checkpoint) => Said {
  const made = new Map<string, { layout: Layout; tree: ParamTree; of: Map<ReadonlyMap<string, unknown>, string> }>()
  return checkpoint => {
    try {
      const spec = definition.spec(checkpoint.config, checkpoint.tensors)
      const key = text(spec)
      const known = made.get(key) ?? { layout: definition.layout(spec), tree: paramsOf(spec, definition), of: new Map() }
      made.set(key, known)
      let files = known.of.get(checkpoint.tensors)
      if (files === undefined) {
        const values = valuesFromFiles(checkpoint, definition.type, known.layout, known.tree)
        files = JSON.stringify([...values].map(([path, { weight, bias }]) => [path, weight.name, weight.shape, bias?.name]))
        known.of.set(checkpoint.tensors, files)
      }
      return { spec: key, files }
    } catch (error) {
      if (!(error instanceof AttuneError) || !['ERR_FORMAT', 'ERR_UNSUPPORTED'].includes(error.code)) throw error
      return error
    }
  }
}
const texts = new WeakMap<object, string>()
/** A value as JSON whose keys are in order; layers that are one object are written once. */
function text(x: unknown): string {
  if (typeof x !== 'object' || x === null) return JSON.stringify(x) ?? 'undefined'
  let said = texts.get(x)
  if (said === undefined) {
    said = Array.isArray(x)
      ? `[${x.map(text)}]`
      : `{${Object.entries(x)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, value]) => `${key}:${text(value)}`)}}`
    texts.set(x, said)
  }
  return said
}
const refused = (said: Said): said is AttuneError => said instanceof AttuneError
const same = (a: Said, b: Said): boolean => !refused(a) && !refused(b) && a.spec === b.spec && a.files === b.files
const names = (said: Said, word: string): boolean => refused(said) && said.message.includes(word)

const objects = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
/** Paths of all keys of a config, and of the objects in it. */
function* keysOf(config: Json, at: readonly string[] = []): Generator<readonly string[]> {
  for (const [key, value] of Object.entries(config)) {
    yield [...at, key]
    if (objects(value)) yield* keysOf(value, [...at, key])
  }
}
/** The config with another object in place of the one that holds the key at a path. */
function changed(config: Json, [key, ...rest]: readonly string[], change: (holder: Json, key: string) => Json): Json {
  return rest.length === 0 ? change(config, key) : { ...config, [key]: changed(config[key] as Json, rest, change) }
}
const without = (holder: Json, key: string): Json => Object.fromEntries(Object.entries(holder).filter(([k]) => k !== key))

const opened = async (folder: string) => {
  const checkpoint = await openFolder(folder)
  await checkpoint.close()
  const definition = definitions.get(checkpoint.config.model_type as string)!
  const read = reader(definition)
  const own = read(checkpoint)
  if (refused(own)) throw own
  return { checkpoint, read: (change: Partial<Checkpoint>) => read({ ...checkpoint, ...change }), own }
}

it.each(folders)('%s: a config key that is deleted, renamed or added changes nothing in silence', async folder => {
  const { checkpoint, read, own } = await opened(folder)
  const { config } = checkpoint
  const silent: string[] = []
  for (const path of keysOf(config)) {
    // `model_type` says which definition reads the rest; `architectures` what the model gives, beside the same states.
    if (path[0] === 'model_type' || path[0] === 'architectures') continue
    const told = insteadOf(folder, config.model_type as string, path)
    // Refused, or the same, or as transformers fills it in.
    const fine = (said: Said): boolean =>
      refused(said) || same(said, own) || (objects(told) && same(said, read({ config: { ...config, ...told } })))
    if (!fine(read({ config: changed(config, path, without) }))) silent.push(`${path.join('.')} deleted`)
    const renamed = read({ config: changed(config, path, (holder, key) => ({ ...without(holder, key), [`${key}_${ODD}`]: holder[key] })) })
    const value = path.reduce<unknown>((at, key) => (at as Json)[key], config)
    if (value === null ? !fine(renamed) : !refused(renamed) && !same(renamed, own)) silent.push(`${path.join('.')} renamed`)
    const holder = changed(config, path, (holder, key) =>
      objects(holder[key]) ? { ...holder, [key]: { ...holder[key], [ODD]: 1 } } : holder,
    )
    const added = read({ config: holder })
    if (!refused(added) && !same(added, own)) silent.push(`a key added in ${path.join('.')}`)
  }
  if (!names(read({ config: { ...config, [ODD]: 1 } }), ODD)) silent.push('a key added')
  expect(silent, instead[folder] ? undefined : 'a new folder: run internal/oracles/deleted-keys.py').toEqual([])
})

it.each(folders)('%s: a tensor that is deleted, renamed or added changes nothing in silence', async folder => {
  const { checkpoint, read, own } = await opened(folder)
  const silent: string[] = []
  // One of each kind: layers and experts are alike.
  const kinds = new Map([...checkpoint.tensors.keys()].map(name => [name.replace(/\d+/g, '0'), name]))
  for (const name of kinds.values()) {
    const others = new Map(checkpoint.tensors)
    const entry = others.get(name)!
    others.delete(name)
    for (const [what, tensors] of [
      ['deleted', others],
      ['renamed', new Map(others).set(`${name}.${ODD}`, entry)],
      ['doubled', new Map(checkpoint.tensors).set(`${name}.${ODD}`, entry)],
    ] as const) {
      const said = read({ tensors })
      if (!refused(said) && !same(said, own)) silent.push(`${name} ${what}`)
    }
  }
  if (!names(read({ tensors: new Map(checkpoint.tensors).set(ODD, [...checkpoint.tensors.values()][0]) }), ODD))
    silent.push('a tensor added')
  expect(silent).toEqual([])
})
