/**
 * One whole life on a real file system. The simulated disk defines the behaviour; this test shows
 * that the real calls match the port, including renames over files and file sizes.
 */
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { createLog } from '../../../src/storage/log/log.ts'
import type { LogOptions } from '../../../src/storage/ports/log-host.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { commit, content, payload, readAll } from '../../support/worlds/logs.ts'

const options: LogOptions = { maxFileSize: 16 * 1024, sectorBytes: 512 }

test('a log on a real disk is created, rolled, left open, recovered, closed and opened again', () => {
  const disk = nodeDisk()
  const dir = `${tempFolder()}/shard-0/wal`
  const log = () => createLog(disk, systemClock())
  const open = () => {
    const inspection = log().handle('inspect', { dir, options, evidence: [] })
    const opened = log()
    return { log: opened, report: opened.handle('open', { dir, options, inspection }) }
  }
  log().handle('create', { dir, options })
  const numbers = Array.from({ length: 40 }, (_, index) => index)

  const first = open()
  for (const number of numbers) commit(first.log, [payload(number, 1000)])
  first.log.abandon()
  const second = open()
  expect(second.report).toMatchObject({ tail: 'unclean', epoch: 2, cutBytes: 0 })
  second.log.handle('close', { projectedLsn: 3 })
  const third = open()

  expect(third.report).toMatchObject({ tail: 'clean', epoch: 3, copiedFrames: 0 })
  const found = readAll(third.log, 10_000)
  expect(found.map((frame) => frame.content)).toEqual(
    numbers.map((number) => content(number, 1000)),
  )
  for (const { file, allocatedBytes } of third.log.handle('describe', null).segments)
    expect(disk.entry(`${dir}/${file}`)?.size).toBe(allocatedBytes)
  expect(disk.list(dir).filter((name) => name.endsWith('.tmp'))).toEqual([])
  third.log.abandon()
})
