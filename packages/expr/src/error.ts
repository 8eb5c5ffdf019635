/** Stable codes of every error attune throws. */
export type ErrorCode =
  | 'ERR_SHAPE'
  | 'ERR_DTYPE'
  | 'ERR_ARGUMENT'
  | 'ERR_EXPR'
  | 'ERR_FORMAT'
  | 'ERR_NOT_FOUND'
  | 'ERR_NETWORK'
  | 'ERR_UNSUPPORTED'
  | 'ERR_OOM'
  | 'ERR_DEVICE_LOST'
  | 'ERR_ABORTED'
  | 'ERR_CONVERSION'
  | 'ERR_VERSION'
  | 'ERR_WRITE'
  | 'ERR_NAN'

/** The one error class. `data` holds the offending names and numbers; `cause` the error underneath, if any. */
export class AttuneError extends Error {
  override readonly name = 'AttuneError'
  readonly code: ErrorCode
  readonly data: Readonly<Record<string, unknown>>
  constructor(code: ErrorCode, message: string, data: Record<string, unknown> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.data = data
  }
}
