import type { Device } from '@attune/tensor'

/** The same device, whose fresh memory holds NaN (all bits set): whatever is read before it is written shows. */
export function poisoned(device: Device): Device {
  const pending = new Map<object, Promise<void>>()
  return Object.assign(Object.create(device) as Device, {
    alloc(bytes: number) {
      const b = device.alloc(bytes)
      pending.set(b, device.write(b, new Uint8Array(bytes).fill(255)))
      return b
    },
    async write(...args: Parameters<Device['write']>) {
      await pending.get(args[0])
      return device.write(...args)
    },
    async read(...args: Parameters<Device['read']>) {
      await pending.get(args[0])
      return device.read(...args)
    },
    free: (b: Parameters<Device['free']>[0]) => device.free(b),
    async load(program: Parameters<Device['load']>[0]) {
      const e = await device.load(program)
      return {
        async run(...args: Parameters<typeof e.run>) {
          await Promise.all(args[1].map(s => pending.get(s.buffer)))
          return e.run(...args)
        },
        dispose: () => e.dispose(),
      }
    },
    close: () => device.close(),
  })
}
