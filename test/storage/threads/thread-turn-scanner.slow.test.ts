/** The thread that searches logs for turns, as it is built. */
import { once } from 'node:events'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type * as Storage from '../../../src/storage/index.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const built = pathToFileURL(join(import.meta.dirname, '../../../dist/storage/index.js')).href
const { threadTurnScanner } = (await import(built)) as typeof Storage

const threads: Worker[] = []
const take = (thread: Worker): void => void threads.push(thread)

beforeEach(() => {
  threads.length = 0
  process.on('worker', take)
})

afterEach(() => {
  vi.useRealTimers()
  process.off('worker', take)
})

/** Searches of a folder without a log: a thread looked if they fail for that. */
const searching = () => {
  const ending = new AbortController()
  const dir = tempFolder()
  const scanner = threadTurnScanner(ending.signal)
  const search = () =>
    scanner(
      {
        ...{ dir, to: 1, entity: 'order/17', atLsn: 1, limit: 1 },
        wanted: { before: { lsn: 2, unit: 0 }, mark: 'removal' },
      },
      // It reads the files.
      undefined as never,
    )
  return { search, end: () => ending.abort() }
}

test('searches share a thread, which stays for the next one', async () => {
  const { search, end } = searching()

  for (const count of [20, 1])
    for (const { reason } of (await Promise.allSettled(
      Array.from({ length: count }, search),
    )) as PromiseRejectedResult[])
      expect(reason).toMatchObject({ code: 'NO_SEGMENTS' })

  expect(threads).toHaveLength(1)
  end()
})

test('the thread ends with the instance, and so do its searches', async () => {
  const { search, end } = searching()
  const started = once(process, 'worker')
  const pending = expect(search()).rejects.toMatchObject({ code: 'CLOSED' })
  await started
  end()

  await pending
  await expect(search()).rejects.toMatchObject({ code: 'CLOSED' })
  await setImmediate()
  expect(threads).toHaveLength(1)
})

test('a thread that died fails its searches, and the next one has another', async () => {
  const { search, end } = searching()
  const started = once(process, 'worker')
  const pending = expect(search()).rejects.toMatchObject({ code: 'SHARD_DOWN' })
  const [thread] = await started
  await thread.terminate()

  await pending
  await expect(search()).rejects.toMatchObject({ code: 'NO_SEGMENTS' })
  expect(threads).toHaveLength(2)
  end()
})

test('a thread without searches for ten seconds ends', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const { search, end } = searching()
  await expect(search()).rejects.toMatchObject({ code: 'NO_SEGMENTS' })
  vi.advanceTimersByTime(9_000)
  await expect(search()).rejects.toMatchObject({ code: 'NO_SEGMENTS' })
  vi.advanceTimersByTime(9_000)
  expect(threads).toHaveLength(1)
  const ended = once(threads[0] as Worker, 'exit')

  vi.advanceTimersByTime(1_000)

  await ended
  await expect(search()).rejects.toMatchObject({ code: 'NO_SEGMENTS' })
  expect(threads).toHaveLength(2)
  end()
})
