/** Hosts in line are as nasty as threads: neither side has memory or objects of the other. */
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import type { CommitRequest } from '../../../src/storage/ports/log-host.ts'
import { inlineBlobHost, inlineLogHost } from '../../../src/testing/simulated/inline-host.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { content, dir, payload, readAll, small, worldOn } from '../../support/worlds/logs.ts'

const wholeCommit = (number: number): CommitRequest => {
  const bytes = new Uint8Array(payload(number))
  return {
    ...{ bytes, lengths: [bytes.length], isGiven: true, now: number },
    ...{ sync: true, projectedLsn: 0 },
  }
}

const opened = async () => {
  const clock = virtualClock()
  const disk = simulatedDisk()
  const host = inlineLogHost({ disk, clock })
  const during = async <T>(work: Promise<T>): Promise<T> => {
    const settled = work.catch(() => undefined)
    await clock.settle()
    await settled
    return work
  }
  await during(host.run('create', { dir, options: small }))
  const inspection = await during(host.run('inspect', { dir, options: small, evidence: [] }))
  await during(host.run('open', { dir, options: small, inspection }))
  return { clock, disk, host, during }
}

test('a commit of three goes as a message, which takes its memory; the lane copies, and gives it back', async () => {
  const { host, during } = await opened()
  const left: number[] = []
  const spent: boolean[] = []
  for (const number of [1, 2, 3, 4]) {
    const request = wholeCommit(number)
    const commit = host.run('commit', request)
    left.push(request.bytes.byteLength)
    spent.push((await during(commit)).spent === request.bytes)
  }
  expect(left.map((length) => length > 0)).toEqual([false, true, true, false])
  expect(spent).toEqual([false, true, true, false])
})

test('memory that is overwritten after its answer changes nothing that was written', async () => {
  const { disk, host, during } = await opened()
  for (const number of [1, 2, 3]) {
    const request = wholeCommit(number)
    const { spent } = await during(host.run('commit', request))
    spent?.fill(0xee)
    if (request.bytes.byteLength > 0) request.bytes.fill(0xee)
  }
  await during(host.end())
  const { log } = worldOn(disk).open()
  expect(readAll(log).map((frame) => frame.content)).toEqual(
    [1, 2, 3].map((number) => content(number)),
  )
})

test('an answer is a copy, and an error is plain', async () => {
  const { host, during } = await opened()
  const [one, other] = [
    await during(host.run('state', null)),
    await during(host.run('state', null)),
  ]
  expect(one).toEqual(other)
  expect(one).not.toBe(other)
  const error = await during(host.run('read', { from: 0, maxBytes: 1 })).catch((e: unknown) => e)
  expect(error).toMatchObject({ code: 'BAD_CURSOR' })
  expect(error).not.toHaveProperty('cause')
})

test('what a host refuses at its end may still take effect, and nothing does after it', async () => {
  const outcomes = new Set<number>()
  for (let seed = 1; seed <= 12; seed++) {
    const clock = virtualClock(seed)
    const disk = simulatedDisk({ seed })
    const host = inlineBlobHost({ disk, clock })
    const puts = [
      host.run('open', { dir: '/blobs', segmentBytes: 4096, opening: 1 }),
      ...[1, 2].map((fill) => host.run('put', { payloads: [new Uint8Array(100).fill(fill)] })),
    ]
    const settled = Promise.allSettled(puts)
    const ended = host.end()
    await clock.settle()
    await ended
    expect((await settled).map(({ status }) => status)).toEqual([
      'rejected',
      'rejected',
      'rejected',
    ])
    const { calls } = disk
    await clock.advance(1_000)
    expect(disk.calls).toBe(calls)
    outcomes.add(disk.counts.write)
  }
  expect(outcomes.size).toBeGreaterThan(1)
})
