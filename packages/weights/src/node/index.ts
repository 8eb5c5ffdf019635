export { fileSource } from './file.ts'
export { diskFolder, fileFolder } from './folder.ts'
export { diskOutput } from './output.ts'
