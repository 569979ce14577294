/** The real system failing under the built package: a sync that fails once, a file that may not grow, a pool of one thread. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { start } from 'keelson'
import { Wal } from 'keelson/wal'
import { describe, expect, test } from 'vitest'
import { textOf } from '../harness/ledger.ts'
import { runKeelson } from '../support/commands/keelson-command.ts'
import { noSmallDisk, smallDisk } from '../support/harm/small-disk.ts'
import { lacks } from '../support/lacks.ts'
import { tempFolder } from '../support/temp-folder.ts'

const program = (name: string): string => join('test/support/programs', name)

/** Why a sync cannot be made to fail here; `undefined` when it can. */
const noStrace = ((): string | undefined => {
  const injects = [
    '-f',
    '-e',
    'trace=fdatasync',
    '-e',
    'inject=fdatasync:error=EIO:when=25',
    'true',
  ]
  return spawnSync('strace', injects).status === 0 ? undefined : 'needs strace that may inject'
})()

describe.skipIf(lacks(noStrace))('one fdatasync that fails', () => {
  test.each([
    // The thread of the logs syncs a file, or threads of a crew sync those of two side by side.
    { way: 'alone', syncs: 40 },
    { way: 'beside', syncs: 250 },
  ])(
    'is not acknowledged, not repeated on that file, takes no sibling along, and reopening brings all acknowledged back ($way)',
    {
      tags: ['D15', 'D16', 'E23', 'E25'],
      timeout: 120_000,
    },
    async ({ way, syncs: before }) => {
      const dir = tempFolder()
      const trace = join(tempFolder(), 'trace')
      const { output, stderr } = spawnSync(
        'strace',
        [
          ...['-f', '-y', '-o', trace, '-e', 'trace=fdatasync'],
          ...['-e', `inject=fdatasync:error=EIO:when=${before}`],
          ...[process.execPath, program('failing-sync.mjs'), dir, way],
        ],
        { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], encoding: 'utf8' },
      )
      const [first, second, third, fourth, fifth] = (output[3] ?? '')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      expect(first, stderr).toMatchObject({ code: 'UNKNOWN_OUTCOME' })
      expect(first.acknowledged.length).toBeGreaterThan(3)
      expect(second).toEqual({ later: 'SHARD_DOWN', sibling: 'ok' })
      expect(third).toEqual({ phase: 'down' })
      expect(fourth).toEqual({ missing: [] })
      expect(fifth).toEqual({ again: 'ok' })

      // Each line: pid, call, descriptor with its path, result.
      const syncs = spawnSync('cat', [trace], { encoding: 'utf8' }).stdout.split('\n')
      const failed = syncs.findIndex((line) => line.includes('INJECTED'))
      const path = /<([^>]+)>/.exec(syncs[failed] ?? '')?.[1] ?? ''
      expect(path).toMatch(/shard-\d\/wal\/[0-9a-f-]+\.wal$/)
      expect(syncs.slice(failed + 1).filter((line) => line.includes(path))).toEqual([])

      const app = await start({ dir })
      const missing = first.acknowledged.filter(
        (at: number) => app.store.get(`${first.tag}:${at}`) !== at,
      )
      expect(missing).toEqual([])
      await app.close()
    },
  )
})

describe.skipIf(lacks(noSmallDisk))('tmpfs', () => {
  test('is told at opening: nothing on it survives a power cut', { tags: ['E57'] }, async () => {
    const wal = await Wal.open({ dir: join(smallDisk('8m'), 'log') })
    expect(wal.report.remarks).toEqual([expect.stringContaining('tmpfs')])
    await wal.close()
  })

  test('is told by keelson start, beside the answers and in wal()', { tags: ['E57'] }, async () => {
    const dir = join(smallDisk('96m'), 'data')
    const told = /note: the folder is in memory \(tmpfs\)/

    const { output, errors } = await runKeelson(['start', '--dir', dir], tempFolder(), 'wal()')

    expect(errors).toMatch(told)
    expect(output).toMatch(/note +the folder is in memory/)
    const other = await runKeelson(['start', '--dir', 'data'], tempFolder(), 'wal()')
    expect(other.errors).not.toMatch(told)
  })
})

/** Floods a log from a shell that first does `prelude`; answers what was acknowledged, and how it ended. */
const flood = (dir: string, prelude: string) => {
  const { output } = spawnSync(
    'sh',
    ['-c', `${prelude}; exec "$0" "$@"`, process.execPath, program('flood-log.mjs'), dir],
    { stdio: ['ignore', 'ignore', 'inherit', 'pipe'], encoding: 'utf8', maxBuffer: 2 ** 26 },
  )
  const lines = (output[3] ?? '').trim().split('\n')
  const acknowledged = new Map<number, number>()
  for (const line of lines) {
    const [number = Number.NaN, lsn = Number.NaN] = line.split(' ').map(Number)
    if (!Number.isNaN(lsn)) acknowledged.set(lsn, number)
  }
  return { acknowledged, ending: lines.at(-1) }
}

const missingOf = async (dir: string, acknowledged: ReadonlyMap<number, number>) => {
  const wal = await Wal.open({ dir })
  const found = new Map<number, string>()
  for await (const { lsn, bytes } of wal.readAll()) found.set(lsn, Buffer.from(bytes).toString())
  await wal.close()
  return [...acknowledged].filter(([lsn, number]) => found.get(lsn) !== textOf(number))
}

test('a file that may not grow beyond a limit is no loss: what was answered is there, the rest is refused with a code', {
  tags: ['D17', 'E27'],
  timeout: 60_000,
}, async () => {
  const dir = tempFolder()
  // 600 blocks of 512 or 1,024 bytes: room for the first segments, never for one of 1 MiB.
  const { acknowledged, ending } = flood(dir, 'ulimit -f 600')

  expect(ending).toMatch(/^end (NO_SPACE|BUSY|SHARD_DOWN|UNKNOWN_OUTCOME)$/)
  expect(await missingOf(dir, acknowledged)).toEqual([])
})

test('a pool of one thread changes nothing: the log has threads of its own', {
  tags: ['E58'],
  timeout: 60_000,
}, async () => {
  const dir = tempFolder()
  const { acknowledged, ending } = flood(dir, 'export UV_THREADPOOL_SIZE=1')

  expect(ending).toBe('end all')
  expect(acknowledged.size).toBe(2000)
  expect(await missingOf(dir, acknowledged)).toEqual([])
})
