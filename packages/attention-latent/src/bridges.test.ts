import { gqa, mha, mqa } from '@attune/attention-heads'
import type { PositionSpec } from '@attune/position'
import { testBridge } from '@attune/testing'
import { keepInputs } from './bridge-keep-inputs.ts'
import { multiplyOut } from './bridge-multiply-out.ts'
import { mlaBridges } from './bridges.ts'
import { el } from './el.ts'
import { mla } from './mla.ts'

const pick = (name: string, from: string, to = 'mla') => mlaBridges.find(b => b.name === name && b.from === from && b.to === to)!
const heads = { dim: 32, heads: 6, kvHeads: 3, headDim: 8 }
const biased = { ...heads, bias: true, outBias: true }
const rope = (more: Partial<Extract<PositionSpec, { kind: 'rope' }>>): PositionSpec => ({ kind: 'rope', dims: 8, theta: 10000, pairing: 'half', maxPositions: 4096, ...more }) // biome-ignore format: one line

const transMla = pick('transmla', 'gqa')
const exact = { from: gqa, to: mla, fullRank: true }
testBridge(transMla, { ...exact, config: { ...heads, scale: 0.2 } })
testBridge(transMla, { ...exact, config: biased, options: { rope: 'real' } })
testBridge(transMla, { ...exact, config: biased, pairing: 'interleaved', wish: { mode: 'materialised', queryLatent: 48 } })
testBridge(transMla, { ...exact, config: { ...heads, headMap: [2, 0, 1, 1, 1, 0] }, position: rope({ dims: 4 }) })
testBridge(transMla, { ...exact, config: biased, position: { kind: 'none' } })

const yarn = rope({ scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 32 } })
testBridge(transMla, { ...exact, config: heads, position: yarn })
testBridge(pick('transmla', 'mha'), { ...exact, from: mha, config: { dim: 32, heads: 2, headDim: 8 } })
testBridge(pick('transmla', 'mqa'), { ...exact, from: mqa, config: { dim: 32, heads: 3, headDim: 8, bias: true } })
testBridge(pick('transmla', 'mqa'), { ...exact, from: mqa, config: { dim: 32, heads: 3, headDim: 8 }, wish: { latentNorm: true, queryLatent: 25 }, options: { normScale: 1e4 } }) // biome-ignore format: one line

const mha2Mla = pick('mha2mla', 'gqa')
testBridge(mha2Mla, { ...exact, config: biased })
testBridge(mha2Mla, { ...exact, config: heads, position: { kind: 'none' }, options: { svd: 'split' }, wish: { queryLatent: 48 } })
testBridge(pick('mha2mla', 'mha'), { ...exact, from: mha, config: { dim: 32, heads: 2, headDim: 8 }, options: { pairs: '2-norm' } })
testBridge(pick('mha2mla', 'mqa'), { ...exact, from: mqa, config: { dim: 32, heads: 3, headDim: 8 }, position: rope({ dims: 4, pairing: 'interleaved' }) }) // biome-ignore format: one line

const latent = { dim: 32, heads: 3, nopeDim: 8, ropeDim: 8, valueDim: 12, latent: 16, latentNorm: false }
const interleaved = rope({ pairing: 'interleaved' })
testBridge(multiplyOut, { from: mla, to: mha, config: latent, position: interleaved })
testBridge(multiplyOut, { from: mla, to: mha, config: { ...latent, queryLatent: 12, valueDim: 20, bias: true, outBias: true, scale: 0.3 }, position: interleaved }) // biome-ignore format: one line
testBridge(multiplyOut, { from: mla, to: mha, config: { ...latent, queryBias: true }, position: interleaved })
testBridge(keepInputs, { from: mha, to: el, config: { dim: 32, heads: 3, headDim: 8, bias: true }, position: { kind: 'none' } })
