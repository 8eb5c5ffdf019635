import { readFileSync } from 'node:fs'
import { type Tensor, tensor } from '@attune/tensor'
import type { ScanOperands, ScanOptions } from '../src/index.ts'
import { values } from './attend-oracle.ts'

/** A case of internal/oracles/scan.py: sizes, and what the authors' code gives, float32 in base64. */
export interface ScanCase {
  readonly form: string
  readonly q: number
  readonly k: number
  readonly v: number
  readonly states: number
  readonly dK: number
  readonly dV: number
  readonly rule: 'add' | 'delta'
  readonly decay: 'none' | 'fixed' | 'head' | 'channel'
  readonly slopes?: readonly number[]
  readonly initial: boolean
  readonly offsets: readonly number[]
  readonly scale: number
  readonly seed: number
  readonly out: string
  readonly state?: string
}

export const scanCases = (): ScanCase[] => JSON.parse(readFileSync(new URL('../oracles/scan.json', import.meta.url), 'utf8'))

export function scanOperandsOf(c: ScanCase): { operands: ScanOperands; options: ScanOptions } {
  const n = c.offsets.at(-1)!
  const rows = c.offsets.length - 1
  const make = (rest: readonly number[], seed: number, f = (x: number) => x): Tensor =>
    tensor(values([n, ...rest], c.seed + seed).map(f), [n, ...rest])
  const past = [rows, c.states, c.dK, c.dV]
  const decays: Record<ScanCase['decay'], () => Tensor | undefined> = {
    none: () => undefined,
    fixed: () =>
      tensor(
        Float32Array.from({ length: n * c.states }, (_, i) => c.slopes![i % c.states]),
        [n, c.states],
      ),
    head: () => make([c.states], 4, x => (x - 1) / 2),
    channel: () => make([c.states, c.dK], 4, x => (x - 1) / 2),
  }
  return {
    operands: {
      q: make([c.q, c.dK], 0),
      k: make([c.k, c.dK], 1, x => x / 2),
      v: make([c.v, c.dV], 2),
      initial: tensor(c.initial ? values(past, c.seed + 3) : new Float32Array(past.reduce((a, b) => a * b, 1)), past),
      offsets: tensor(c.offsets, [rows + 1], 'i32'),
      decay: decays[c.decay](),
      beta: c.rule === 'delta' ? make([c.states], 5, x => (x + 1) / 2) : undefined,
    },
    options: { rule: c.rule, scale: c.scale },
  }
}

export function floatsOf(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64')
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}
