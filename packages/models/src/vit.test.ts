import { cpu } from '@attune/backend-cpu'
import { reference } from '@attune/tensor'
import { testEncoder } from '@attune/testing'
import { vitOracle } from '../test/encoder-oracles.ts'

testEncoder('vit, reference', vitOracle, async () => reference())
testEncoder('vit, native', vitOracle, () => cpu({ backend: 'native', threads: 2 }))
testEncoder('vit, WebAssembly', vitOracle, () => cpu({ backend: 'wasm', threads: 2 }))
