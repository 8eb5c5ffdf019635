// All of the WebGPU device's tests, those included that SwiftShader takes minutes for.
import { runVitest } from '../checks/vitest.mjs'

process.env.ATTUNE_ALL = '1'
const { failed } = await runVitest({ quiet: false, files: ['packages/backend-webgpu'] })
process.exitCode = failed === 0 ? 0 : 1
