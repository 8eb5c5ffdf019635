import { cpu } from '@attune/backend-cpu'
import { contiguous } from '@attune/cache'
import { testAttention, testCache } from '@attune/testing'
import { afterAll } from 'vitest'
import { loudBlocks } from './loud-blocks.ts'

const device = cpu({ threads: 2 })
afterAll(async () => (await device).close())
const config = { dim: 32, heads: 4, kvHeads: 2, headDim: 8, block: 4, pick: 3 }

testAttention(loudBlocks, { configs: [config], devices: async () => [await device] })
testCache({ cache: contiguous(), variant: loudBlocks, config })
