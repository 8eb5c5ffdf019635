import { cpu } from '@attune/backend-cpu'
import { quantised } from '@attune/cache'
import { testCache } from '@attune/testing'
import { afterAll } from 'vitest'
import { gqa } from './gqa.ts'

const opened = cpu({ threads: 2 })
afterAll(async () => (await opened).close())
const config = { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }

testCache({ cache: quantised({ bits: 8, group: 8, sinks: 2, recent: 0, rotate: true }), variant: gqa, config, within: 1e-4 })
testCache({ cache: quantised({ bits: 4, group: 8, sinks: 0, recent: 0, rotate: false }), variant: gqa, config, within: 2e-2 })
testCache({ cache: quantised({ bits: 4, group: 16, recent: 5 }), variant: gqa, config, within: 2e-2 })
testCache({ name: 'native', cache: quantised({ bits: 4, group: 16, recent: 5 }), variant: gqa, config, within: 2e-2, device: () => opened })
