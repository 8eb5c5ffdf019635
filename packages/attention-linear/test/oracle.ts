import { readFileSync } from 'node:fs'
import type { ParamValue } from '@attune/nn'
import { Constant, type Tensor, tensor } from '@attune/tensor'

/** A case of internal/oracles/linear-attention.py: how parameters and inputs are made, and what the authors' code gives. */
interface OracleCase {
  readonly variant: string
  readonly config: Record<string, unknown>
  readonly tokens: number
  readonly seed: number
  readonly params: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly seed: number; readonly scale: number; readonly shift: number }>
  >
  readonly out: string
}

export interface LayerCase {
  readonly config: Record<string, unknown>
  readonly x: Tensor // (T, dim)
  readonly values: ReadonlyMap<string, ParamValue>
  readonly out: Float32Array
}

export function layerCases(variant: string): LayerCase[] {
  const all: OracleCase[] = JSON.parse(readFileSync(new URL('../oracles/layers.json', import.meta.url), 'utf8'))
  return all
    .filter(c => c.variant === variant)
    .map(({ config, tokens, seed, params, out }) => {
      const constant = (path: string): Constant | undefined => {
        const p = params[path]
        return p && new Constant('f32', p.shape, new Uint8Array(hashed(p.shape, p.seed, p.scale, p.shift).buffer))
      }
      const paths = Object.keys(params).filter(path => !path.endsWith(':bias'))
      const bytes = Buffer.from(out, 'base64')
      return {
        config,
        x: tensor(hashed([tokens, config.dim as number], seed, 1, 0), [tokens, config.dim as number]),
        values: new Map(paths.map(path => [path, { weight: constant(path)!, bias: constant(`${path}:bias`) }])),
        out: new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)),
      }
    })
}

function hashed(shape: readonly number[], seed: number, scale: number, shift: number): Float32Array {
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => {
    let x = Math.imul(i + 1 + seed * 7919, 2654435761)
    x ^= x >>> 15
    x = Math.imul(x, 2246822519)
    x ^= x >>> 13
    return shift + scale * (((x >>> 8) % 1024) / 512 - 1)
  })
}
