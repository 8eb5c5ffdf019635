import type { Model } from '@attune/models'
import { type Storage, storageName } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import type { Rounding } from './constant-source.ts'
import type { Conversion } from './convert.ts'
import type { ExportOptions } from './export.ts'
import type { FolderForm } from './folder-form.ts'
import { sha256, tensorsHash } from './hash.ts'
import type { Replayed } from './replay.ts'

/** Format of conversion.json. */
export const CONVERSION_FORMAT = 1

/** What conversion.json says. */
export interface ConversionRecord {
  readonly format: typeof CONVERSION_FORMAT
  readonly source: { readonly name: string; readonly files: Checkpoint['files']; readonly sha256?: string }
  /** Class of the weights before they were rounded to `dtype`. */
  readonly exactness: string
  /** Type that most of the numbers are written in. */
  readonly dtype: string
  readonly rounding: Rounding
  readonly plan?: Conversion['plan']
  readonly report?: Omit<Conversion['report'], 'seconds'>
  readonly calibration?: { readonly tokens: number; readonly sha256: string }
  /** Key-value heads of every layer in the files, where layers have such; narrower layers are copied up to it. */
  readonly kvHeadsInFiles?: number
  /** What each layer is once copies are taken out again. */
  readonly layers: readonly { readonly variant: string; readonly config: Readonly<Record<string, unknown>> }[]
  /** Tokens that no method saw, in independent windows: what `measured` was measured on. */
  readonly heldOut?: { readonly tokens: number; readonly window: number; readonly ids: string }
  /** How the files, read back, differ from the source on those tokens. */
  readonly measured?: Replayed & { readonly device: string }
  /** SHA-256 of every other file, where the folder could tell. */
  readonly files?: Readonly<Record<string, string>>
}

/** All that is known before anything is written. */
export async function recordOf(
  model: Model,
  source: Checkpoint,
  form: FolderForm,
  dtype: string,
  { conversion, calibration, hashes, signal }: ExportOptions,
): Promise<Omit<ConversionRecord, 'rounding'>> {
  return {
    format: CONVERSION_FORMAT,
    source: {
      name: plainName(source.name),
      files: source.files,
      ...(hashes === false ? {} : { sha256: await tensorsHash(source, signal) }),
    },
    exactness: conversion?.report.exactness ?? 'exact',
    dtype,
    plan: conversion?.plan,
    report: conversion && withoutTime(conversion.report),
    ...(calibration
      ? { calibration: { tokens: calibration.length, sha256: await sha256(new Uint8Array(Int32Array.from(calibration).buffer)) } }
      : {}),
    ...(form.kvHeads === undefined ? {} : { kvHeadsInFiles: form.kvHeads }),
    layers: model.spec.layers.map(({ attention: { variant, config } }) => ({ variant, config })),
  }
}

/** The type that most bytes of a checkpoint are of. */
export function storedMost({ tensors }: Pick<Checkpoint, 'tensors'>): string {
  const sizes = new Map<string, number>()
  for (const { dtype, bytes } of tensors.values()) {
    const name = storageName(dtype as Storage)
    sizes.set(name, (sizes.get(name) ?? 0) + bytes)
  }
  return [...sizes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'f32'
}

/** The same conversion gives the same file, however long it took. */
function withoutTime({ seconds: _, ...report }: Conversion['report']): ConversionRecord['report'] {
  return report
}

/** Where the source lay on this machine is nobody else's business. */
const plainName = (name: string): string => (/^[./~]|\\|:/.test(name) ? (name.split(/[/\\]/).filter(Boolean).pop() ?? name) : name)
