/** One after the other: whoever calls later waits until those before are done. */
export class Turns {
  #last: Promise<void> = Promise.resolve()

  async alone<T>(act: () => Promise<T>): Promise<T> {
    const before = this.#last
    let done = (): void => {}
    this.#last = new Promise(r => (done = r))
    await before
    try {
      return await act()
    } finally {
      done()
    }
  }
}
