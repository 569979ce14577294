/** Many entries at once: the log's thread and the callers work at the same time. */
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import type { Commit, CommitRequest, LogHost } from '../../../src/storage/ports/log-host.ts'
import { WalCommits } from '../../../src/storage/wal/wal-commits.ts'
import { checkWalOptions } from '../../../src/storage/wal/wal-options.ts'

/** A host whose commits the test answers. */
const handHost = () => {
  const commits: { readonly count: number; readonly answer: () => void }[] = []
  let lastLsn = 0
  const run = (_: string, request: CommitRequest) =>
    new Promise<Commit>((resolve) => {
      const count = request.lengths.length
      const answer = (): void => {
        const lsns = Array.from({ length: count }, () => ++lastLsn)
        const facts = { time: 1, syncMs: 0, bytesWritten: 512, rolled: false }
        resolve({ ...facts, firstLsn: lsns[0] ?? 0, count, lsns, durableLsn: lastLsn })
      }
      commits.push({ count, answer })
    })
  return { commits, host: { run } as unknown as LogHost }
}

const world = () => {
  const clock = virtualClock()
  const { commits, host } = handHost()
  const settings = checkWalOptions({ dir: 'wal' })
  const wal = new WalCommits({ host, clock, settings, lastLsn: 0, ended: () => undefined })
  const append = () => wal.append(0, new Uint8Array(8), {})
  return { clock, commits, append, sync: () => wal.sync() }
}

test('the first 512 leave while others are still being appended', () => {
  const { commits, append } = world()
  const handIn = (times: number) => {
    for (let time = 0; time < times; time++) void append()
  }
  handIn(511)
  expect(commits).toEqual([])
  handIn(1)
  expect(commits.map(({ count }) => count)).toEqual([512])
})

test('a second group of 512 follows the first at once, and a third only after the first is answered', async () => {
  const { clock, commits, append } = world()
  const all = Array.from({ length: 2_000 }, append)
  expect(commits.map(({ count }) => count)).toEqual([512, 512])
  commits[0]?.answer()
  await clock.settle()
  expect(commits).toHaveLength(3)
  for (const { answer } of commits.slice(1)) answer()
  await Promise.all(all)
})

test('a few entries after a group wait for it', async () => {
  const { clock, commits, append } = world()
  const all = Array.from({ length: 600 }, append)
  await clock.settle()
  expect(commits.map(({ count }) => count)).toEqual([512])
  commits[0]?.answer()
  await clock.settle()
  expect(commits.map(({ count }) => count)).toEqual([512, 88])
  commits[1]?.answer()
  await Promise.all(all)
})

test('a sync waits for both groups in flight', async () => {
  const { clock, commits, append, sync } = world()
  const all = Array.from({ length: 1_024 }, append)
  let isSynced = false
  const synced = sync().then(() => {
    isSynced = true
  })
  commits[0]?.answer()
  await clock.settle()
  expect(isSynced).toBe(false)
  commits[1]?.answer()
  await Promise.all([...all, synced])
})

test('the next group is submitted before the callers of the last are answered, and all are answered in order', async () => {
  const { clock, commits, append } = world()
  const answered: { lsn: number; underWay: number }[] = []
  const all = Array.from({ length: 1_300 }, async () => {
    const { lsn } = await append()
    answered.push({ lsn, underWay: commits.length })
  })
  commits[0]?.answer()
  await clock.settle()
  expect(answered).toHaveLength(512)
  expect(answered.every(({ underWay }) => underWay === 2)).toBe(true)
  commits[1]?.answer()
  await clock.settle()
  commits[2]?.answer()
  await Promise.all(all)
  expect(answered.map(({ lsn }) => lsn)).toEqual(answered.map((_, at) => at + 1))
})

test('a few callers that wait for the same sync form one group with those that append again', async () => {
  const { clock, commits, append } = world()
  const writer = async () => {
    for (let time = 0; time < 4; time++) await append()
  }
  const writers = Array.from({ length: 100 }, writer)
  for (let time = 0; time < 8; time++) {
    await clock.settle()
    commits[time]?.answer()
  }
  await Promise.all(writers)
  expect(commits.map(({ count }) => count)).toEqual([100, 100, 100, 100])
})
