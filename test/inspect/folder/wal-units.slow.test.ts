/**
 * A data folder with a unit that no version can read: refused with its LSN, and salvaged around.
 */
import { join } from 'node:path'
import { start } from 'keelson'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { createLog } from '../../../src/storage/log/log.ts'
import { commandHere } from '../../support/commands/command-here.ts'
import { judged, newFolder, wal } from '../../support/commands/command-logs.ts'

const options = { maxFileSize: 131_072, sectorBytes: 4096 }

/** Appends frames to the log of a folder that is not open; returns their LSNs. */
const append = (dir: string, payloads: readonly Uint8Array[]): readonly number[] => {
  const log = createLog(nodeDisk(), systemClock())
  const inspection = log.handle('inspect', { dir: wal(dir), options, evidence: [] })
  log.handle('open', { dir: wal(dir), options, inspection })
  const { lsns } = log.handle('commit', {
    bytes: Buffer.concat(payloads),
    lengths: payloads.map(({ length }) => length),
    now: 0,
    sync: true,
    projectedLsn: 0,
  })
  log.handle('close', { projectedLsn: 0 })
  return lsns
}

const putOf = (key: string): Uint8Array =>
  encodeFrame({
    kind: 'put',
    key,
    value: { tag: 1, bytes: Buffer.from(key) },
    expiry: { kind: 'none' },
  })

describe('a unit that cannot be read', () => {
  test('is named by start and doctor, and salvage keeps every other frame', async () => {
    const dir = await newFolder(3)
    const bad = putOf('bad')
    bad[15] = 99
    const [, lsn] = append(dir, [putOf('before'), bad, putOf('after')])

    const refused = await commandHere(['start', '--dir', 'd'], dir)
    expect(refused.status).not.toBe(0)
    expect(refused.errors).toContain('UNSUPPORTED_VERSION')
    expect(refused.errors).toContain(`lsn ${lsn}: a newer version wrote this frame: command 99`)
    const { status, logs } = await judged(dir)
    expect(status).toBe(1)
    expect(logs[0].damage).toMatchObject([{ lsn, evidence: expect.stringContaining('command 99') }])

    const salvage = await commandHere(['wal', 'salvage', 'd', '--to', 'd2', '--json'], dir)
    expect(salvage.status).toBe(4)
    expect(JSON.parse(salvage.output).logs[0].lost).toEqual([{ from: lsn, to: lsn }])
    const app = await start({ dir: join(dir, 'd2'), app: false })
    const isThere = ['before', 'bad', 'after', 'k2'].map((key) => app.store.has(key))
    await app.close()
    expect(isThere).toEqual([true, false, true, true])
  })
})
