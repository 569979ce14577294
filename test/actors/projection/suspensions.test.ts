/** The suspensions of a shard: who may change one. */
import { expect, test } from 'vitest'
import { Suspensions } from '../../../src/actors/projection/suspensions.ts'

const gate = { hold: () => undefined, release: () => false }
const one = { token: 'a', owner: undefined, writes: false, since: 0, until: undefined }

test('a suspension that a reader has does not change, and its map has the new one', () => {
  const suspensions = new Suspensions(gate as never)
  suspensions.begin(one)
  const read = suspensions.byToken.get('a')

  suspensions.held('a')
  suspensions.answered('a')

  expect(read).toMatchObject({ state: 'flushing', answered: false })
  expect(suspensions.byToken.get('a')).toMatchObject({ state: 'holding', answered: true })
})

test('a suspension that has ended is neither held nor answered', () => {
  const suspensions = new Suspensions(gate as never)
  suspensions.begin(one)
  suspensions.end('a')

  expect([suspensions.held('a'), suspensions.answered('a')]).toEqual([false, false])
  expect(suspensions.byToken.size).toBe(0)
})
