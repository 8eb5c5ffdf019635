import { testDevice } from '@attune/testing'
import { cpu } from '../src/index.ts'

testDevice('native, 2 threads', () => cpu({ backend: 'native', threads: 2 }))
testDevice('native, sse2', () => cpu({ backend: 'native', isa: 'sse2', threads: 1 }))
testDevice('WebAssembly', () => cpu({ backend: 'wasm', threads: 2 }))
