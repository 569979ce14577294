/** `update` reads, changes and writes one key, and no other write to the key is lost. */
import { expect, test, vi } from 'vitest'
import { readOnce } from '../../support/read-once.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

test('a hundred updates at once all count, and each answers what it wrote', async () => {
  const { store, during } = await started()
  const add = () => store.update<number>('n', (value = 0) => value + 1)
  const answers = await during(Promise.all(Array.from({ length: 100 }, add)))

  expect(store.get('n')).toBe(100)
  expect(answers.map(({ value }) => value)).toEqual(Array.from({ length: 100 }, (_, at) => at + 1))
})

test('a write in between is not lost: the change is made again on its value', async () => {
  const { store, during } = await started()
  await during(store.put('list', ['a']))
  const put = store.put('list', ['b'])
  const change = vi.fn((list: string[] = []) => [...list, 'c'])
  await during(Promise.all([put, store.update('list', change)]))

  expect(store.get('list')).toEqual(['b', 'c'])
  expect(change.mock.calls).toEqual([[['a']], [['b']]])
})

test('updates and other writers lose nothing of each other', async () => {
  const { store, during } = await started()
  const appended = Array.from({ length: 30 }, () => store.append('log', 'a'))
  const updated = Array.from({ length: 30 }, () =>
    store.update<string>('log', (log = '') => `${log}u`),
  )
  await during(Promise.all([...appended, ...updated]))

  const log = store.get<string>('log') ?? ''
  expect([...log].filter((letter) => letter === 'a')).toHaveLength(30)
  expect([...log].filter((letter) => letter === 'u')).toHaveLength(30)
})

test('a change may alter the value that it is given', async () => {
  const { store, during } = await started()
  await during(store.put('account', { cents: 5, odd: Number.NaN }))
  await during(
    store.update<{ cents: number; odd: number }>('account', (account = { cents: 0, odd: 0 }) => {
      account.cents += 10
      return account
    }),
  )
  expect(store.get('account')).toEqual({ cents: 15, odd: Number.NaN })
})

test('the expiry stays unless a new one is given', async () => {
  const { store, during } = await started()
  await during(store.put('session', 1, { ttlMs: 60_000 }))
  await during(store.update<number>('session', (value = 0) => value + 1))
  expect(store.ttl('session')).toBeLessThanOrEqual(60_000)
  await during(store.update<number>('session', (value = 0) => value + 1, { ttlMs: 5_000 }))
  expect(store.ttl('session')).toBeLessThanOrEqual(5_000)
})

test('the options are those of the call, also of a change that is made again', async () => {
  const { store, during } = await started()
  await during(store.put('k', 1))
  const change = vi.fn((value = 0) => value + 1)
  const options = { ttlMs: 5_000 }
  const update = store.update('k', change, readOnce(options))
  await during(Promise.all([store.put('k', 5), update]))

  expect([store.get('k'), change.mock.calls.length]).toEqual([6, 2])
  expect(store.ttl('k')).toBeLessThanOrEqual(5_000)
})

test('a change that throws writes nothing, and the next update has its turn', async () => {
  const { store, during } = await started()
  await during(store.put('k', 1))
  const broken = store.update('k', () => {
    throw new RangeError('no')
  })
  const next = store.update<number>('k', (value = 0) => value + 1)

  await expect(during(broken)).rejects.toThrow(RangeError)
  expect(await during(next)).toMatchObject({ value: 2 })
})

test('a promise, no value and wrong arguments are refused, and nothing is written', async () => {
  const { store, during } = await started()
  const refused = { code: 'INVALID_ARGUMENT' }
  await expect(during(store.update('k', async () => 1))).rejects.toMatchObject(refused)
  const failing = (): Promise<never> => Promise.reject(new Error('nobody handles it'))
  await expect(during(store.update('k', failing))).rejects.toMatchObject(refused)
  await expect(during(store.update('k', () => undefined))).rejects.toMatchObject(refused)
  await expect(during(store.update('k', 7 as never))).rejects.toMatchObject(refused)
  await expect(during(store.update('', () => 1))).rejects.toMatchObject(refused)
  expect(store.has('k')).toBe(false)
})

test('an update that waits past its deadline behind others was never submitted', async () => {
  const { store, during } = await started()
  await during(store.put('k', 0))
  const first = store.update<number>('k', (value = 0) => value + 1)
  const late = store.update<number>('k', (value = 0) => value + 1, { deadlineMs: 1 })
  const [one, two] = await during(Promise.allSettled([first, late]))
  expect(one.status).toBe('fulfilled')
  expect(two.status === 'rejected' ? two.reason : two).toMatchObject({ code: 'NOT_SUBMITTED' })
  expect(store.get('k')).toBe(1)
})
