import { AttuneError } from '@attune/tensor'
import { nodeModule } from './addon.ts'
import type { CpuBuffer } from './buffer.ts'
import type { CpuDevice } from './device.ts'

const piece = 4 * 2 ** 20

/** See CpuDevice.mapFile. */
export async function mapFile(device: CpuDevice, path: string, offset: number, bytes?: number): Promise<CpuBuffer> {
  const { open } = await import(/* @vite-ignore */ nodeModule('fs/promises')).catch(cause => {
    throw new AttuneError('ERR_UNSUPPORTED', 'files can be mapped only where there is a file system', { path }, cause)
  })
  const file = await open(path).catch((cause: Error) => {
    throw new AttuneError('ERR_NOT_FOUND', `${path} cannot be opened`, { path }, cause)
  })
  try {
    const { size } = await file.stat()
    const length = bytes ?? size - offset
    if (!(offset >= 0 && length >= 0 && offset + length <= size && Number.isSafeInteger(offset)))
      throw new AttuneError('ERR_FORMAT', `${path} has ${size} bytes; ${offset} … ${offset + length} are asked for`, { path, offset, size })
    if (device.engine.map && length > 0) {
      return device.adopt(path, length, device.engine.map(path, offset, length))
    }
    const buffer = device.alloc(length)
    const chunk = new Uint8Array(Math.min(piece, length))
    for (let at = 0; at < length; ) {
      const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.byteLength, length - at), offset + at)
      if (bytesRead === 0)
        throw new AttuneError('ERR_FORMAT', `${path} ends at ${offset + at}, while it is read`, { path, offset: offset + at })
      await device.write(buffer, chunk.subarray(0, bytesRead), at)
      at += bytesRead
    }
    return buffer
  } finally {
    await file.close()
  }
}
