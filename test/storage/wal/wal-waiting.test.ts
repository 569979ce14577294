/**
 * Appends that must wait, and callers that withdraw them. The numbers refer to
 * `test/evidence/log.md`.
 */
import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { bytesOf, drive, openedWal, outcome, readAll, walWorld } from '../../support/worlds/wals.ts'

describe('a full queue', () => {
  const queueBytes = 4096

  test('refuses callers that do not wait with BUSY, drops nothing, and accepts the others in order', {
    tags: ['D25'],
  }, async () => {
    const { clock, wal } = await openedWal({ queueBytes, idleMarkerMs: 0 }, { delayMs: 10 })
    const waiting = Array.from({ length: 30 }, (_, at) => wal.append(at, bytesOf(at, 1000)))
    const refused = wal.append(99, bytesOf(99), { whenFull: 'refuse' })
    await expect(refused).rejects.toMatchObject({ code: 'BUSY', details: { limit: queueBytes } })
    await clock.advance(1000)
    await Promise.all(waiting)
    const again = wal.append(98, bytesOf(98), { whenFull: 'refuse' })
    await clock.advance(1000)
    await again
    const read = readAll(wal)
    await clock.advance(1000)
    expect((await read).map(({ type }) => type)).toEqual([...Array(30).keys(), 98])
  })

  test('counts each entry as at least 256 bytes until it is answered', {
    tags: ['E48'],
  }, async () => {
    const { clock, wal } = await openedWal({ queueBytes, idleMarkerMs: 0 }, { delayMs: 2000 })
    const refuse = { whenFull: 'refuse' } as const
    const outcomes = Array.from({ length: 40 }, () => outcome(wal.writeEntry(bytesOf(1), refuse)))
    await clock.advance(4000)
    const codes = await Promise.all(outcomes)
    expect(codes.filter((code) => code === 'resolved')).toHaveLength(queueBytes / 256)
    expect(codes.filter((code) => code === 'BUSY')).toHaveLength(40 - queueBytes / 256)
    expect((await drive(clock, wal.describe())).bytes).toBe(0)
  })

  test('accepts an entry above its limit, alone', async () => {
    const wal = await walWorld().open({ queueBytes: 256 })
    const large = wal.writeEntry(bytesOf(1, 2000), { whenFull: 'refuse' })
    expect(await outcome(wal.writeEntry(bytesOf(2), { whenFull: 'refuse' }))).toBe('BUSY')
    expect(await large).toEqual({ lsn: 1 })
  })
})

describe('a caller that withdraws', () => {
  test('before the entry was submitted gets NOT_SUBMITTED, and it is never written', async () => {
    const { clock, wal } = await openedWal({ idleMarkerMs: 0 }, { delayMs: 50 })
    const first = wal.append(1, bytesOf(1))
    await clock.settle()
    const abort = new AbortController()
    const [second, third] = [
      outcome(wal.append(2, bytesOf(2), { signal: abort.signal })),
      outcome(wal.append(3, bytesOf(3), { deadlineMs: 20 })),
    ]
    const fourth = wal.append(4, bytesOf(4))
    abort.abort(new Error('changed my mind'))
    expect(await second).toBe('NOT_SUBMITTED')
    await clock.advance(20)
    expect(await third).toBe('NOT_SUBMITTED')
    await clock.advance(500)
    expect([await first, await fourth]).toEqual([{ lsn: 1 }, { lsn: 2 }])
    expect((await drive(clock, readAll(wal))).map(({ type }) => type)).toEqual([1, 4])
    expect((await drive(clock, wal.describe())).bytes).toBe(0)
  })

  test('before the call gets NOT_SUBMITTED with the reason', async () => {
    const wal = await walWorld().open()
    const reason = new Error('too late')
    const given = wal.writeEntry(bytesOf(1), { signal: AbortSignal.abort(reason) })
    await expect(given).rejects.toMatchObject({ code: 'NOT_SUBMITTED', cause: reason })
  })

  test('while the entry is in flight gets UNKNOWN_OUTCOME, and finds it by reading', async () => {
    const { clock, wal } = await openedWal({ idleMarkerMs: 0 }, { delayMs: 50 })
    const given = outcome(wal.append(1, bytesOf(1), { deadlineMs: 20 }))
    await clock.advance(20)
    expect(await given).toBe('UNKNOWN_OUTCOME')
    await clock.advance(500)
    expect(await drive(clock, readAll(wal))).toMatchObject([{ type: 1 }])
  })

  test('while the entry is in flight knows the outcome once the log has settled', async () => {
    const { clock, wal } = await openedWal({ idleMarkerMs: 0 }, { delayMs: 50 })
    const given = outcome(wal.append(1, bytesOf(1), { deadlineMs: 20 }))
    await clock.advance(5)
    const withdrawn = outcome(wal.append(2, bytesOf(2), { deadlineMs: 10 }))
    await clock.advance(16)
    expect([await given, await withdrawn]).toEqual(['UNKNOWN_OUTCOME', 'NOT_SUBMITTED'])
    await drive(clock, wal.settled())
    expect(await drive(clock, readAll(wal))).toMatchObject([{ type: 1 }])
    await drive(clock, wal.close())
    expect(await outcome(wal.settled())).toBe('CLOSED')
  })

  test('leaves neither timer nor listener behind after an answer in time', async () => {
    const { clock, wal } = await openedWal({ idleMarkerMs: 0 })
    const abort = new AbortController()
    await wal.append(1, bytesOf(1), { deadlineMs: 1000, signal: abort.signal })
    expect(clock.untilNext()).toBeUndefined()
    expect(getEventListeners(abort.signal, 'abort')).toEqual([])
    abort.abort()
    expect(await wal.append(2, bytesOf(2))).toEqual({ lsn: 2 })
  })
})
