/** Regular files of a ustar archive: blocks of 512 bytes, a header with name, octal size and type before each file. */
export function* filesOfTar(tar: Buffer): Generator<[name: string, bytes: Buffer]> {
  const text = (from: number, to: number) => tar.toString('latin1', from, to).replace(/\0.*$/s, '')
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, at + 136), 8)
    const type = text(at + 156, at + 157)
    if (type === '' || type === '0') yield [text(at, at + 100), tar.subarray(at + 512, at + 512 + size)]
    at += 512 + Math.ceil(size / 512) * 512
  }
}
