import { readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isVariant, type Variant } from '@attune/attention'
import * as heads from '@attune/attention-heads'
import * as latent from '@attune/attention-latent'
import * as linear from '@attune/attention-linear'
import type { ParamTree } from '@attune/nn'
import { type Checkpoint, openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import type { Definition } from '../src/index.ts'
import * as types from '../src/index.ts'

const isDefinition = (x: unknown): x is AnyDefinition => typeof x === 'object' && x !== null && 'type' in x && 'layout' in x && 'spec' in x
const root = fileURLToPath(new URL('fixtures/', import.meta.url))

export type AnyDefinition = Definition<unknown> & { readonly kind?: string }

/** Variants that model types use, by name. */
export const everyVariant: ReadonlyMap<string, Variant> = new Map(
  [heads, latent, linear].flatMap(family => Object.values(family as Record<string, unknown>).filter(isVariant)).map(v => [v.name, v]),
)
/** Every model type there is, by name. */
export const definitions: ReadonlyMap<string, AnyDefinition> = new Map(
  (Object.values(types) as unknown[]).filter(isDefinition).map(d => [d.type, d]),
)
/** Every tiny checkpoint there is, by its folder in `fixtures`. */
export const folders: readonly string[] = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter(f => f.endsWith('config.json') && !f.endsWith('_config.json'))
  .map(f => dirname(f))
  .sort()
export const openFolder = async (folder: string): Promise<Checkpoint> => openCheckpoint(await diskFolder(root + folder))

/** The parameters of a Spec of either kind. */
export const paramsOf = (spec: unknown, { kind }: AnyDefinition): ParamTree =>
  kind === 'encoder'
    ? types.encoderParams(spec as types.EncoderSpec, everyVariant)
    : types.decoderParams(spec as types.DecoderSpec, everyVariant)
