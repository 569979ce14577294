/** The lock of a folder by a file alone: the holder's facts, dead holders, and races. */
import { hostname } from 'node:os'
import { describe, expect, test } from 'vitest'
import {
  type LockFiles,
  lockFolder,
  type OpenLockFile,
  type ProcessFacts,
} from '../../../src/storage/disk/folder-lock.ts'
import { readHolder } from '../../../src/storage/disk/lock-holder.ts'
import { refusal, withPath } from '../../support/harm/folder-locks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** Files in memory with a process table. A hook lets other processes act at a given moment. */
class MemoryFiles implements LockFiles {
  readonly files = new Map<string, string>([
    ['/proc/sys/kernel/random/boot_id', 'boot\n'],
    [`/proc/${process.pid}/stat`, stat('S', 500)],
  ])
  /** Called before a file is made, with its path. */
  beforeNew: (path: string) => void = () => {}

  open(): OpenLockFile {
    throw new Error('only the way without the tool is run in memory')
  }
  identity(path: string): string | undefined {
    return path === '/proc/self' ? 'proc' : path === '/proc/self/ns/pid' ? '4:1' : undefined
  }
  content(path: string): string | undefined {
    return this.files.get(path)
  }
  putNew(path: string, content: string): boolean {
    this.beforeNew(path)
    if (this.files.has(path)) return false
    this.files.set(path, content)
    return true
  }
  replace(path: string, content: string): void {
    this.files.set(path, content)
  }
  remove(path: string): void {
    this.files.delete(path)
  }
  /** The signs that living processes give. */
  readonly signs = new Set<string>()
  giveSign(path: string) {
    this.signs.add(path)
    return { end: () => void this.signs.delete(path) }
  }
  hasSign(path: string): boolean {
    return this.signs.has(path)
  }
  /** The files beside the process table. */
  left(): string[] {
    return [...this.files.keys()].filter((path) => !path.startsWith('/proc'))
  }
}

const stat = (state: string, start: number): string =>
  `7 (a (strange) name) ${state} ${Array.from({ length: 18 }, (_, at) => at).join(' ')} ${start} 0`

describe('a lock by file', () => {
  const absent = 2 ** 22 + 1
  const holder = (pid: number, facts: Partial<ProcessFacts> = {}): string =>
    JSON.stringify({
      pid,
      host: hostname(),
      bootId: 'boot',
      startTime: '900',
      pidSpace: '4:1',
      by: 'file',
      ...facts,
    })
  const take = (files: MemoryFiles): string =>
    refusal(() => lockFolder(files, 'LOCK', 'me', { flock: false })).code
  const heldBy = (files: MemoryFiles): unknown => readHolder(files.content('LOCK') ?? '').pid

  test('names its holder by pid, host, boot, start time and pid namespace', () => {
    const files = new MemoryFiles()
    expect(take(files)).toBe('no error')

    expect(files.content('LOCK')?.split('\n')).toEqual([
      'me',
      JSON.stringify({
        pid: process.pid,
        host: hostname(),
        bootId: 'boot',
        startTime: '500',
        pidSpace: '4:1',
        sign: [...files.signs][0],
        by: 'file',
      }),
      '',
    ])
    expect(files.left()).toEqual(['LOCK'])
  })

  test('of a live holder is refused, and no leftover stays', () => {
    const files = new MemoryFiles()
    files.files.set('/proc/900/stat', stat('S', 900))
    files.files.set('LOCK', holder(900))

    expect(take(files)).toBe('LOCKED_DIR')
    expect(files.left()).toEqual(['LOCK'])
  })

  test('of a zombie is taken, because its files are closed', () => {
    const files = new MemoryFiles()
    files.files.set('/proc/900/stat', stat('Z', 900))
    files.files.set('LOCK', holder(900))

    expect(take(files)).toBe('no error')
    expect(heldBy(files)).toBe(process.pid)
  })

  test('of a holder that cannot be judged is refused, and says that a person must decide', () => {
    const files = new MemoryFiles()
    // Process 1 is there, but its start cannot be seen.
    files.files.set('LOCK', holder(1))
    const { code, details } = refusal(() => lockFolder(files, 'LOCK', 'me', { flock: false }))

    expect([code, details?.certain]).toEqual(['LOCKED_DIR', false])
  })

  describe('of a holder in another pid namespace', () => {
    const elsewhere = (facts: object = {}) => {
      const files = new MemoryFiles()
      files.files.set('LOCK', holder(7, { pidSpace: '4:2', ...facts }))
      return files
    }
    const certainly = (files: MemoryFiles) => {
      const { code, details } = refusal(() => lockFolder(files, 'LOCK', 'me', { flock: false }))
      return [code, details?.certain]
    }
    const sign = { sign: 'LOCK.1.sock' }

    test('is refused while its sign is given, and taken when it is not', () => {
      const files = elsewhere(sign)
      files.signs.add('LOCK.1.sock')
      expect(certainly(files)).toEqual(['LOCKED_DIR', true])

      files.signs.delete('LOCK.1.sock')
      files.files.set('LOCK.1.sock', '')
      expect(take(files)).toBe('no error')
      expect(heldBy(files)).toBe(process.pid)
      expect(files.left()).toEqual(['LOCK'])
    })

    test('cannot be judged without a sign, or on another machine', () => {
      expect(certainly(elsewhere())).toEqual(['LOCKED_DIR', false])
      expect(certainly(elsewhere({ ...sign, bootId: 'other', host: 'other' }))).toEqual([
        'LOCKED_DIR',
        false,
      ])
      expect(certainly(elsewhere({ sign: '../LOCK.1.sock' }))).toEqual(['LOCKED_DIR', false])
    })
  })

  test('that is refused or released leaves no sign', () => {
    const files = new MemoryFiles()
    const lock = lockFolder(files, 'LOCK', 'me', { flock: false })
    expect(files.signs.size).toBe(1)
    lock.release()
    expect([files.signs.size, files.left()]).toEqual([0, []])

    files.files.set('/proc/900/stat', stat('S', 900))
    files.files.set('LOCK', holder(900))
    expect(take(files)).toBe('LOCKED_DIR')
    expect(files.signs.size).toBe(0)
  })

  test.each([
    ['a dead process', holder(absent)],
    ['an earlier boot', holder(1, { bootId: 'earlier' })],
    ['nothing', ''],
    ['blank lines', '\n\n\n'],
    ['half a line', holder(1).slice(0, 20)],
    ['what is no holder', 'null'],
  ])('that holds %s is taken, and nothing is left beside it', (_, content) => {
    const files = new MemoryFiles()
    files.files.set('LOCK', content)

    expect(take(files)).toBe('no error')
    expect(heldBy(files)).toBe(process.pid)
    expect(files.left()).toEqual(['LOCK'])
  })

  test('that another process takes over meanwhile stays with it', () => {
    const files = new MemoryFiles()
    files.files.set('/proc/900/stat', stat('S', 900))
    files.files.set('LOCK', holder(absent))
    files.beforeNew = (path) => {
      if (path !== 'LOCK') files.files.set('LOCK', holder(900))
    }

    expect(take(files)).toBe('LOCKED_DIR')
    expect(heldBy(files)).toBe(900)
    expect(files.left()).toEqual(['LOCK'])
  })

  test('that another process is taking over is refused, and names that process', () => {
    const files = new MemoryFiles()
    files.files.set('/proc/900/stat', stat('S', 900))
    files.files.set('LOCK', holder(absent))
    files.beforeNew = (path) => {
      if (path !== 'LOCK') files.files.set(path, holder(900))
    }
    const { code, details } = refusal(() => lockFolder(files, 'LOCK', 'me', { flock: false }))

    expect([code, details?.holder]).toMatchObject(['LOCKED_DIR', { pid: 900 }])
    expect(heldBy(files)).toBe(absent)
  })

  test('whose second process died while taking over is taken from both', () => {
    const files = new MemoryFiles()
    files.files.set('LOCK', holder(absent))
    let claims = 0
    files.beforeNew = (path) => {
      if (path !== 'LOCK' && claims++ === 0) files.files.set(path, holder(absent + 1))
    }

    expect(take(files)).toBe('no error')
    expect(claims).toBe(2)
    expect(heldBy(files)).toBe(process.pid)
    expect(files.left()).toEqual(['LOCK'])
  })

  test('that its holder releases meanwhile is taken', () => {
    const files = new MemoryFiles()
    files.files.set('LOCK', holder(absent))
    files.beforeNew = (path) => {
      if (path !== 'LOCK') files.files.delete('LOCK')
    }

    expect(take(files)).toBe('no error')
    expect(heldBy(files)).toBe(process.pid)
  })

  test('that was removed by hand and taken by another process is not released', () => {
    const files = new MemoryFiles()
    const lock = lockFolder(files, 'LOCK', 'me', { flock: false })
    files.files.set('LOCK', holder(900))
    lock.release()

    expect(heldBy(files)).toBe(900)
  })

  test('is refused if others could not tell whether this process lives', () => {
    const files = new MemoryFiles()
    files.files.delete('/proc/sys/kernel/random/boot_id')

    expect(withPath(tempFolder(), () => take(files))).toBe('ENOLCK')
    expect(files.left()).toEqual([])
  })
})
