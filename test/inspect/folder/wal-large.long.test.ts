/**
 * Logs larger than the memory that a command is given: memory does not grow with the log (D30;
 * needs the build).
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { SealedLog } from '../../../src/storage/segments/sealed-log.ts'
import { runKeelson, startKeelson } from '../../support/commands/keelson-command.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const frameSize = 4096

/** A log of `megabytes` in files of 16 MiB. */
const writeLog = (dir: string, megabytes: number): void => {
  mkdirSync(dir)
  const writer = new SealedLog(
    { disk: nodeDisk(), clock: systemClock(), dir },
    { features: 0, sectorBytes: 512, payloadMax: frameSize, fileBytes: 16 * 1024 * 1024 },
    { walId: '0123456789abcdef'.repeat(2), epoch: 1, baseLsn: 1 },
  )
  const payload = new Uint8Array(frameSize)
  for (let count = (megabytes * 1024 * 1024) / frameSize; count > 0; count--) {
    payload.fill(count % 251, 8)
    writer.add(1, payload)
  }
  writer.finish({ generation: 1, checkpointLsn: 0, lastTime: 0, snapshots: [] })
}

const heapLimit = `--max-old-space-size=32 --import=${join(import.meta.dirname, '../../support/programs/report-memory.mjs')}`

/** Runs a command under the limit; answers its status and the most memory that it had, in MB. */
const run = async (cwd: string, words: readonly string[]) => {
  const { status, errors } = await runKeelson(words, cwd, '', {
    NODE_OPTIONS: heapLimit,
  })
  return { status, megabytes: Number(/maxRSS (\d+)/.exec(errors)?.[1]) / 1000 }
}

/** A log that no command holds in memory, and one of a tenth. */
const [largeMb, smallMb] = [320, 32]

describe(`with a heap of 32 MB, on a log of ${largeMb} MB`, () => {
  test.each([
    // It warns: the log has no MANIFEST.
    ['doctor', [], 1],
    ['wal dump', [], 0],
    ['wal salvage', ['--to', 'new'], 0],
  ])(
    `%s needs hardly more memory than on one of ${smallMb} MB`,
    { tags: ['D30'], timeout: 120_000 },
    async (name, words, status) => {
      const dir = tempFolder()
      writeLog(join(dir, 'small'), smallMb)
      writeLog(join(dir, 'large'), largeMb)

      const small = await run(dir, [
        ...name.split(' '),
        'small',
        ...words.map((word) => word.replace('new', 'a')),
      ])
      const large = await run(dir, [
        ...name.split(' '),
        'large',
        ...words.map((word) => word.replace('new', 'b')),
      ])

      expect([small.status, large.status]).toEqual([status, status])
      expect(large.megabytes - small.megabytes).toBeLessThan(40)
    },
  )
})

describe('a salvage that is ended in its middle', () => {
  const begun = async (dir: string) => {
    writeLog(join(dir, 'log'), largeMb)
    const command = startKeelson(['wal', 'salvage', 'log', '--to', 'new', '--progress'], dir)
    await command.says('salvaging', 'errors')
    return command
  }

  test('by a signal leaves nothing, and says so by its status', async () => {
    const dir = tempFolder()
    const command = await begun(dir)
    command.process.kill('SIGINT')

    expect((await command.ended).status).toBe(130)
    expect(readdirSync(dir)).toEqual(['log'])
  })

  test('by kill -9 leaves a folder that is refused, and in which nothing is salvaged again', async () => {
    const dir = tempFolder()
    const command = await begun(dir)
    command.process.kill('SIGKILL')
    await command.ended

    expect(existsSync(join(dir, 'new/MANIFEST'))).toBe(true)
    expect((await runKeelson(['doctor', 'new'], dir)).status).toBe(1)
    expect((await runKeelson(['wal', 'salvage', 'log', '--to', 'new'], dir)).status).toBe(1)
    expect((await runKeelson(['doctor', 'log'], dir)).output).toMatch(/^log {2}clean/m)
  })
})
