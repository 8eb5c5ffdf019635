import { expect, it } from 'vitest'
import { PrefixTree } from './prefix-tree.ts'

const tree = (budget = 100) => {
  const gone: string[] = []
  return { gone, tree: new PrefixTree<string>(2, budget, v => gone.push(v)) }
}

it('finds the longest beginning that is kept', () => {
  const { tree: t } = tree()
  t.insert([1, 2], 2, 'a', 1)
  t.insert([1, 2, 3, 4], 4, 'b', 1)
  expect(t.find([1, 2, 3, 4, 5], 5)).toEqual({ length: 4, value: 'b' })
  expect(t.find([1, 2, 3, 4, 5], 3)).toEqual({ length: 2, value: 'a' })
  expect(t.find([1, 2, 3, 9], 4)).toEqual({ length: 2, value: 'a' })
  expect(t.find([12, 3, 4], 3)).toBeUndefined()
  expect(t.missing([1, 2, 3, 4, 5, 6, 7], 7)).toEqual([6])
})
it('skips beginnings that only lead to a longer one', () => {
  const { tree: t } = tree()
  t.insert([1, 2, 3, 4], 4, 'b', 1)
  expect(t.find([1, 2, 7, 8], 4)).toBeUndefined()
  expect(t.find([1, 2, 3, 4], 4)?.value).toBe('b')
})
it('lets the least recently used leaf go when its budget is spent', () => {
  const { tree: t, gone } = tree(3)
  t.insert([1, 2], 2, 'a', 1)
  t.insert([1, 2, 3, 4], 4, 'b', 1)
  t.insert([5, 6], 2, 'c', 1)
  t.find([1, 2, 3, 4], 4)
  t.insert([7, 8], 2, 'd', 1)
  expect(gone).toEqual(['c'])
  t.insert([9, 9], 2, 'e', 2)
  expect(gone).toEqual(['c', 'b', 'a'])
  expect(t.bytes).toBe(3)
  t.clear()
  expect(gone).toEqual(['c', 'b', 'a', 'd', 'e'])
  expect(t.bytes).toBe(0)
})
