import { arch, cpus, platform, release } from 'node:os'
import { cpu } from 'attune'
import type { CliCommand } from '../command.ts'

export const doctor: CliCommand = {
  name: 'doctor',
  summary: 'What runs here, and why nothing faster does.',
  define: c => c,
  async run(context) {
    const device = await cpu({ threads: context.options.threads, backend: context.options.device === 'wasm' ? 'wasm' : 'auto' })
    const found = device.doctor()
    await device.close()
    const webgpu = await gpu()
    const value = {
      node: process.version,
      platform: platform(),
      arch: arch(),
      release: release(),
      processor: cpus()[0]?.model.trim(),
      cores: cpus().length,
      cpu: found,
      webgpu,
    }
    context.result(value, () => {
      const isas =
        found.native.map(i => `${i.name}${i.built ? '' : ' (not built)'}${i.supported ? '' : ' (not on this processor)'}`).join(', ') ||
        'no addon'
      return [
        `node        ${value.node} on ${value.platform} ${value.arch}, ${value.processor} × ${value.cores}`,
        `cpu device  ${found.backend}, ${found.isa}, ${found.threads} thread${found.threads > 1 ? 's' : ''}`,
        `addon       ${isas}${found.addon ? `, from ${found.addon}` : ''}`,
        `gpu device  ${webgpu.name ?? `none: ${webgpu.why}`}`,
        ...found.reasons.map(r => `note        ${r}`),
        '',
      ].join('\n')
    })
  },
}

/** The WebGPU device, or why there is none. */
async function gpu(): Promise<{ readonly name?: string; readonly why?: string }> {
  try {
    const { webgpu } = await import('@attune/backend-webgpu/node')
    const device = await webgpu()
    await device.close()
    return { name: device.name }
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) }
  }
}
