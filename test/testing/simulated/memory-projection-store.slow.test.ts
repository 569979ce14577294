/** The memory double: the contract, and what tests can do to it. */
import { expect, test } from 'vitest'
import { memoryProjections } from '../../../src/testing/simulated/memory-projection-store.ts'
import { projectionStoreContract } from '../../contracts/projection-store.contract.ts'
import { plain, positionAt, textRow } from '../../support/worlds/projection-rows.ts'

projectionStoreContract('the memory double', () => ({
  projections: memoryProjections(),
  dir: 'some/folder',
  release: () => Promise.resolve(),
}))

test('a commit that is told to fail throws NO_SPACE and changes nothing', async () => {
  const projections = memoryProjections()
  const store = projections.open('dir')
  await store.commit([['a', textRow('1')]], positionAt(1))

  projections.failCommits('dir', 1)
  await expect(store.commit([['a', textRow('2')]], positionAt(2))).rejects.toMatchObject({
    code: 'NO_SPACE',
  })

  expect(plain(store.get('a'))).toEqual(plain(textRow('1')))
  expect(store.position()).toEqual(positionAt(1))
  await store.commit([['a', textRow('2')]], positionAt(2))
  expect(store.position()).toEqual(positionAt(2))
})

test('commits that are lost take their rows and their position with them', async () => {
  const projections = memoryProjections()
  const store = projections.open('dir')
  await store.commit([['a', textRow('1')]], positionAt(1))
  await store.commit([['a', undefined]], positionAt(2))
  await store.commit([['b', textRow('3')]], positionAt(3))

  projections.loseCommits('dir', 2)

  const again = projections.open('dir')
  expect(again.position()).toEqual(positionAt(1))
  expect(plain(again.get('a'))).toEqual(plain(textRow('1')))
  expect(again.get('b')).toBeUndefined()
  projections.loseCommits('dir', 99)
  expect(projections.open('dir').position()).toBeUndefined()
})

test('a damaged folder is said to be damaged, does not open, and is whole again after remove', async () => {
  const projections = memoryProjections()
  await projections.open('dir').commit([['a', textRow('1')]], positionAt(1))

  projections.damage('dir', 'a flipped bit')

  expect(await projections.examine('dir')).toEqual({ state: 'damaged', evidence: 'a flipped bit' })
  expect(() => projections.open('dir')).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  projections.remove('dir')
  expect(projections.open('dir').get('a')).toBeUndefined()
})

test('a damaged row is CORRUPT to whoever reads it, until it is written again', async () => {
  const projections = memoryProjections()
  const store = projections.open('dir')
  await store.commit(
    [
      ['a', textRow('1')],
      ['b', textRow('2')],
    ],
    positionAt(1),
  )

  projections.damageRow('dir', 'b')

  expect(() => store.get('b')).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  expect(() => [...store.range({})]).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  expect(plain(store.get('a'))).toEqual(plain(textRow('1')))
  expect(await projections.examine('dir')).toMatchObject({ state: 'damaged' })
  await store.commit([['b', textRow('3')]], positionAt(2))
  expect(plain(store.get('b'))).toEqual(plain(textRow('3')))
})

test('a commit is visible some turns before its answer, and not at once', async () => {
  const seen = new Set<string>()
  for (let seed = 1; seed <= 20; seed++) {
    const store = memoryProjections({ seed }).open('dir')
    let isAnswered = false
    const work = store.commit([['a', textRow('1')]], positionAt(1)).then(() => {
      isAnswered = true
    })
    const begun = store.position() !== undefined
    while (!isAnswered) {
      seen.add(store.position() === undefined ? 'before' : 'visible')
      await new Promise((resolve) => setImmediate(resolve))
    }
    await work
    seen.add(begun ? 'visible at once' : 'visible later')
    expect(plain(store.get('a'))).toEqual(plain(textRow('1')))
  }
  expect([...seen].sort()).toEqual(['before', 'visible', 'visible at once', 'visible later'])
})

test('a commit whose process ends is made or not, says so to nobody, and is never made later', async () => {
  const outcomes = new Set<boolean>()
  for (let seed = 1; seed <= 20; seed++) {
    let process = 1
    const projections = memoryProjections({ seed, process: () => process })
    const work = projections.open('dir').commit([['a', textRow('1')]], positionAt(1))
    await new Promise((resolve) => setImmediate(resolve))
    process = 2
    const error = await work.catch((reason: unknown) => reason)
    const isMade = projections.open('dir').get('a') !== undefined
    if (error === undefined) expect(isMade).toBe(true)
    else expect(error).toMatchObject({ code: 'SHARD_DOWN' })
    outcomes.add(isMade)
  }
  expect(outcomes.size).toBe(2)
})

test('memory that `peek` gave is spoilt by the next read', async () => {
  const store = memoryProjections().open('dir')
  await store.commit([['a', textRow('12')]], positionAt(1))
  const peeked = store.peek('a')
  expect(plain(peeked)).toEqual(plain(textRow('12')))
  store.get('a')
  expect(plain(peeked)).not.toEqual(plain(textRow('12')))
})
