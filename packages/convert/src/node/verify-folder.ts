import { join } from 'node:path'
import type { Model } from '@attune/models'
import type { Checkpoint } from '@attune/weights'
import { type Verification, type VerifyOptions, verify } from '../verify.ts'
import { hashFile } from './hash-file.ts'

/** As `verify`, for a folder on disk: its files are read again whole. */
export const verifyFolder = (
  path: string,
  checkpoint: Checkpoint,
  plain: Model,
  options: Omit<VerifyOptions, 'hash'> = {},
): Promise<Verification> =>
  verify(checkpoint, plain, { ...options, hash: async file => (/^[\w][\w .-]*$/.test(file) ? hashFile(join(path, file)) : undefined) })
