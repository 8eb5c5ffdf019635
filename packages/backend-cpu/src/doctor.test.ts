import { readFileSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { openCpu } from '../test/devices.ts'
import * as addon from './addon.ts'
import { bestIsa, missingIsas } from './doctor.ts'

/** What Linux says of this processor, independently of our own CPUID reading. */
const bestOfLinux = (): string => {
  const text = readFileSync('/proc/cpuinfo', 'utf8')
  const has = (...names: string[]) => names.every(name => new RegExp(`^flags.*\\b${name}\\b`, 'm').test(text))
  if (has('avx512f', 'avx512bw', 'avx512vl', 'avx512dq', 'avx512_vnni')) return 'avx512'
  return has('avx2', 'fma', 'f16c') ? 'avx2' : 'sse2'
}

test('the best instruction set of this processor is selected', async () => {
  const device = await openCpu({ backend: 'native' })
  const { backend, isa, native, threads, reasons } = device.doctor()
  expect(backend).toBe('native')
  if (process.arch === 'arm64') expect(isa).toBe('neon')
  else if (process.platform === 'linux') expect(isa).toBe(bestOfLinux())
  expect(isa).toBe(native.find(i => i.supported)?.name)
  expect(reasons).toEqual([])
  expect(device.limits.features).toContain(isa)
  expect(device.limits.features).toContain('native')
  expect(device.limits.threads).toBe(threads)
  expect(device.name).toBe(`cpu (native ${isa})`)
  await device.close()
})

test('an instruction set asked for by name is used or refused', async () => {
  const { isas } = await addon.loadAddon()
  for (const { name, built, supported } of isas) {
    if (built && supported) {
      const device = await openCpu({ isa: name })
      expect(device.doctor().isa).toBe(name)
      await device.close()
    } else await expect(openCpu({ backend: 'native', isa: name })).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
  }
  await expect(openCpu({ backend: 'wasm', isa: 'avx2' })).rejects.toThrow(/no WebAssembly build 'avx2'/)
})

test('without the addon the device is WebAssembly and says so once', async () => {
  vi.resetModules()
  vi.doMock('./addon.ts', async original => ({
    ...(await original<typeof addon>()),
    loadAddon: () => Promise.reject(new Error('Cannot find module x.node\nRequire stack: y')),
  }))
  const { cpu } = await import('./cpu.ts')
  const warnings: string[] = []
  const device = await cpu({ onWarning: message => warnings.push(message) })
  expect(device.doctor().backend).toBe('wasm')
  expect(warnings).toEqual(['no native addon: Cannot find module x.node; the CPU runs as WebAssembly, several times slower'])
  expect(device.doctor().reasons).toContain('no native addon: Cannot find module x.node')
  await device.close()
  await expect(cpu({ backend: 'native' })).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
  vi.doUnmock('./addon.ts')
})

test('a build without the best set is reported', () => {
  const isas = [
    { name: 'avx512', built: false, supported: true },
    { name: 'avx2', built: true, supported: true },
    { name: 'sse2', built: false, supported: true },
  ]
  expect(bestIsa(isas)?.name).toBe('avx2')
  expect(missingIsas(isas)).toEqual(['avx512'])
})
