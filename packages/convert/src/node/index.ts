export { exportFolder } from './export-folder.ts'
export { fileStream } from './file-stream.ts'
