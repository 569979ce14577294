import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import type { DiskError } from '../../../src/storage/ports/disk.ts'
import { diskContract } from '../../contracts/disk.contract.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

for (const [name, options] of [
  ['the machine’s disk', {}],
  ['the machine’s disk without flock', { flock: false }],
] as const)
  diskContract(name, () => {
    const dir = mkdtempSync(join(tmpdir(), 'keelson-disk-'))
    return {
      disk: nodeDisk(options),
      dir,
      end: () => rmSync(dir, { recursive: true, force: true }),
    }
  })

describe.each([{}, { flock: false }])('the machine’s disk with %o', (options) => {
  test('makes files and folders for its own user only, whatever the umask', () => {
    const dir = tempFolder()
    const before = process.umask(0)
    onTestFinished(() => void process.umask(before))
    const disk = nodeDisk(options)

    disk.makeFolder(`${dir}/a/b`)
    for (const mode of ['create', 'createLarge'] as const) disk.open(`${dir}/${mode}`, mode).close()
    const lock = disk.lock(`${dir}/LOCK`, 'holder')
    const modes = (readdirSync(dir, { recursive: true }) as string[])
      .map((path) => [
        path.replace(/\.\w+\.sock$/, '.sock'),
        statSync(join(dir, path)).mode & 0o777,
      ])
      .map(([path, mode]) => `${Number(mode).toString(8)} ${path}`)
    lock.release()

    const sign = options.flock === false ? ['600 LOCK.sock'] : []
    const files = ['600 LOCK', ...sign, '600 create', '600 createLarge']
    expect(modes.sort()).toEqual([...files, '700 a', '700 a/b'])
  })

  test('follows no symbolic link to a file that it writes', () => {
    const dir = tempFolder()
    writeFileSync(`${dir}/victim`, 'precious')
    for (const name of ['LOCK', 'file']) symlinkSync(`${dir}/victim`, `${dir}/${name}`)
    const disk = nodeDisk(options)
    const tried = (action: () => { close(): void } | { release(): void }) => {
      try {
        const made = action()
        return 'close' in made ? made.close() : made.release()
      } catch (error) {
        return (error as DiskError).code
      }
    }

    const refused = [
      tried(() => disk.open(`${dir}/file`, 'write')),
      tried(() => disk.open(`${dir}/file`, 'create')),
      // A lock without the kernel replaces the link itself.
      tried(() => disk.lock(`${dir}/LOCK`, 'holder')) ?? 'replaced',
    ]

    expect(refused).toEqual(['ELOOP', 'EEXIST', options.flock === false ? 'replaced' : 'ELOOP'])
    expect(readFileSync(`${dir}/victim`, 'utf8')).toBe('precious')
  })
})

const program = join(import.meta.dirname, '../../support/programs/disk-process.mjs')

/** Uses the disk in a process of its own. Returns the output. */
const tryElsewhere = (
  what: 'fill' | 'change',
  path: string,
  { limit = 'unlimited', ...options }: { limit?: string; uid?: number } = {},
): string => {
  const run = [process.execPath, program, what, path]
  const { stdout, stderr } = spawnSync('sh', ['-c', `ulimit -f ${limit}; exec "$0" "$@"`, ...run], {
    encoding: 'utf8',
    ...options,
  })
  return stdout || stderr
}

describe('errors of the machine’s disk', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-disk-'))
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))

  test('a partial write returns its count, and the next one throws the code', {
    tags: ['slow'],
  }, () => {
    // 128 blocks of 512 or 1,024 bytes, whichever the shell counts in.
    const printed = tryElsewhere('fill', join(dir, 'a'), { limit: '128' })

    expect(printed).toMatch(/^(65536 EFBIG 65536|131072 EFBIG 131072)$/)
  })

  const noFullDevice = existsSync('/dev/full') ? undefined : 'there is no /dev/full'

  test.skipIf(lacks(noFullDevice))('a full disk is ENOSPC, with operation and path', () => {
    const file = nodeDisk().open('/dev/full', 'write')

    expect(() => file.write(new Uint8Array(10), 0)).toThrow(
      expect.objectContaining({
        name: 'DiskError',
        code: 'ENOSPC',
        operation: 'write',
        path: '/dev/full',
      }),
    )
    file.close()
  })

  // Root may write everywhere; so another user tries, who has to be able to run this checkout.
  const other = process.getuid?.() === 0 ? { uid: 65_534 } : {}
  const otherMayRun =
    spawnSync('sh', ['-c', 'test -r "$0" -a -x "$1"', program, process.execPath], other).status ===
    0

  const noOther = otherMayRun ? undefined : 'another user cannot run this checkout'

  test.skipIf(lacks(noOther))(
    'each change in a folder without permission is EACCES',
    { tags: ['slow'] },
    () => {
      writeFileSync(join(dir, 'a'), 'a')
      chmodSync(dir, 0o555)
      const printed = tryElsewhere('change', dir, other)

      expect(printed).toBe('EACCES EACCES EACCES EACCES EACCES a')
    },
  )
})
