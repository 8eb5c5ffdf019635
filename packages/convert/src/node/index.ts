export { type ConvertedFolder, type ConvertFolderOptions, convertFolder } from './convert-folder.ts'
export { diskWork, workPath } from './disk-work.ts'
export { checkTarget, exportFolder } from './export-folder.ts'
export { type FileStream, fileStream, type StreamState } from './file-stream.ts'
