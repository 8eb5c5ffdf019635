import { create } from 'webgpu'
import { useSwiftShader, whyNoVulkan } from '../vulkan/swiftshader.ts'

/** Gives this process a GPU, SwiftShader, also where pages find theirs: `navigator.gpu`. Nothing where SwiftShader cannot run. */
export async function openGpu(): Promise<void> {
  if (whyNoVulkan) return
  await useSwiftShader()
  Object.defineProperty(globalThis, 'navigator', {
    value: { ...globalThis.navigator, gpu: create(['backend=vulkan']) },
    configurable: true,
  })
}
