export { AttuneError, type ErrorCode } from './error.ts'
