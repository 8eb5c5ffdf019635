import { create } from 'webgpu'
import { useSwiftShader, whyNoVulkan } from '../vulkan/swiftshader.ts'

/** Gives this process a GPU, SwiftShader, also where pages find theirs: `navigator.gpu`. Says whether there is one. */
export async function openGpu(): Promise<boolean> {
  if (whyNoVulkan) return false
  await useSwiftShader()
  Object.defineProperty(globalThis, 'navigator', {
    value: { ...globalThis.navigator, gpu: create(['backend=vulkan']) },
    configurable: true,
  })
  return true
}
