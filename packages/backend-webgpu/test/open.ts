import { useSwiftShader, whyNoVulkan } from '../../../internal/vulkan/swiftshader.ts'
import type { WebGpuDevice } from '../src/index.ts'
import { webgpu } from '../src/node.ts'

export { whyNoVulkan }

/** WebGPU in Node on Dawn and SwiftShader, the processor's Vulkan. */
export async function openWebGpu(): Promise<WebGpuDevice> {
  await useSwiftShader()
  return webgpu({ dawn: ['backend=vulkan'] })
}
