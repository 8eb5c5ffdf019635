import { readdir } from 'node:fs/promises'
import { AttuneError } from '@attune/tensor'

/** Refuses at once a folder that an export would refuse at the end: one that holds something else. */
export async function checkExportFolder(path: string): Promise<void> {
  const files: string[] = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw new AttuneError('ERR_ARGUMENT', `${path} cannot be a folder for the export: ${error.message}`, { path }, error)
  })
  if (files.length > 0 && !files.includes('conversion.json'))
    throw new AttuneError('ERR_ARGUMENT', `${path} is not empty and holds no earlier export; name another folder`, { path })
}
