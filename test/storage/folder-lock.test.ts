import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
} from 'vitest'
import { type ErrorDetails, isKeelsonError } from '../../src/errors.ts'
import { DiskError, type DiskLock } from '../../src/storage/disk.ts'
import {
  holderFate,
  type LockFiles,
  lockFolder,
  type OpenLockFile,
  type ProcessFacts,
  startTimeByPs,
} from '../../src/storage/folder-lock.ts'
import { readHolder } from '../../src/storage/lock-holder.ts'
import { nodeDisk } from '../../src/storage/node-disk.ts'

const hasFlock = spawnSync('flock', ['--version']).error === undefined
const hasPs = startTimeByPs(process.pid) !== undefined
const ways = ['flock', 'file'] as const
type Way = (typeof ways)[number]

const script = fileURLToPath(new URL('../support/lock-process.ts', import.meta.url))

let dir: string
let path: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'keelson-lock-'))
  path = join(dir, 'LOCK')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Another process, told what to do a line at a time. */
class OtherProcess {
  readonly child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor() {
    const root = fileURLToPath(new URL('../..', import.meta.url))
    this.child = spawn(process.execPath, ['--import', 'jiti/register', script], {
      cwd: root,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    if (!this.child.stdout) throw new Error('no output')
    this.#lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
  }

  async answer(): Promise<string> {
    return String((await this.#lines.next()).value)
  }

  async ask(command: string): Promise<string> {
    this.child.stdin?.write(`${command}\n`)
    return this.answer()
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGKILL')
    await once(this.child, 'exit')
  }
}

const lockHere = (way: Way): DiskLock => nodeDisk({ flock: way === 'flock' }).lock(path, '{"a":1}')

const refusal = (action: () => unknown): { code: string; details?: ErrorDetails } => {
  try {
    action()
  } catch (error) {
    if (isKeelsonError(error)) return { code: error.code, details: error.details }
    if (error instanceof DiskError) return { code: error.code }
    throw error
  }
  return { code: 'no error' }
}

describe.each(ways)('a lock by %s, between processes', (way) => {
  let others: OtherProcess[]
  let other: OtherProcess
  beforeAll(async () => {
    others = Array.from({ length: 4 }, () => new OtherProcess())
    for (const one of others) expect(await one.answer()).toBe('ready')
  })
  beforeEach(async () => {
    other = new OtherProcess()
    expect(await other.answer()).toBe('ready')
  })
  afterEach(() => other.kill())
  afterAll(async () => {
    for (const one of others) await one.kill()
  })

  test('is refused to the second, who is told process, host and what the first wrote', async () => {
    expect(await other.ask(`lock ${way} ${path}`)).toBe('held')

    expect(refusal(() => lockHere(way))).toMatchObject({
      code: 'LOCKED_DIR',
      details: {
        path,
        certain: true,
        holder: { pid: other.child.pid, host: hostname(), role: 'test' },
      },
    })
  })

  test('is refused by us to others, until we release it', async () => {
    const lock = lockHere(way)
    expect(await other.ask(`lock ${way} ${path}`)).toBe('LOCKED_DIR')
    lock.release()

    expect(await other.ask(`lock ${way} ${path}`)).toBe('held')
  })

  test('is free at once when its holder is killed with SIGKILL', async () => {
    expect(await other.ask(`lock ${way} ${path}`)).toBe('held')
    await other.kill()

    const lock = lockHere(way)
    const content = readFileSync(path, 'utf8')
    expect(readHolder(content).pid).toBe(process.pid)
    expect(content.split('\n').length, 'two lines, and nothing of the dead').toBe(3)
    lock.release()
  })

  test('is free when its holder exits without releasing it', async () => {
    expect(await other.ask(`lock ${way} ${path}`)).toBe('held')
    other.child.stdin?.write('exit\n')
    await once(other.child, 'exit')

    expect(refusal(() => lockHere(way)).code).toBe('no error')
  })

  test('is not kept by the children of a dead holder', async () => {
    expect(await other.ask(`lock ${way} ${path}`)).toBe('held')
    const orphan = Number(await other.ask('child'))
    await other.kill()

    onTestFinished(() => void process.kill(orphan, 'SIGKILL'))
    expect(process.kill(orphan, 0)).toBe(true)
    expect(refusal(() => lockHere(way)).code).toBe('no error')
  })

  test('is not kept by our own children after release', async () => {
    const lock = lockHere(way)
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child, 'spawn')
    lock.release()

    expect(refusal(() => lockHere(way)).code).toBe('no error')
  })

  test('of a dead holder goes to exactly one of many who want it', async () => {
    expect(await other.ask(`lock ${way} ${path}`)).toBe('held')
    await other.kill()
    const left = readFileSync(path, 'utf8')
    for (let round = 0; round < 60; round++) {
      const contested = join(dir, `LOCK-${round}`)
      writeFileSync(contested, left)
      const answers = await Promise.all(others.map((one) => one.ask(`lock ${way} ${contested}`)))
      expect(answers.sort(), `round ${round}`).toEqual([
        'LOCKED_DIR',
        'LOCKED_DIR',
        'LOCKED_DIR',
        'held',
      ])
      for (const one of others) await one.ask('release')
    }

    // Neither claims nor temporary files are left over.
    expect(readdirSync(dir).filter((name) => !/^LOCK(-\d+)?$/.test(name))).toEqual([])
  })
})

test.skipIf(!hasFlock)('a lock that a thread took is free when the thread has ended', async () => {
  const thread = new Worker(script, {
    stdin: true,
    stdout: true,
    execArgv: ['--import', 'jiti/register'],
  })
  const lines = createInterface({ input: thread.stdout })[Symbol.asyncIterator]()
  thread.stdin?.write(`lock flock ${path}\n`)
  expect([await lines.next(), await lines.next()]).toMatchObject([
    { value: 'ready' },
    { value: 'held' },
  ])
  expect(refusal(() => lockHere('flock')).code).toBe('LOCKED_DIR')
  await thread.terminate()

  expect(refusal(() => lockHere('flock')).code).toBe('no error')
})

describe('the two ways to lock', () => {
  test.skipIf(!hasFlock)('know each other', () => {
    for (const [first, second] of [
      ['flock', 'file'],
      ['file', 'flock'],
    ] as const) {
      const lock = lockHere(first)
      expect(refusal(() => lockHere(second)).code, `${first}, then ${second}`).toBe('LOCKED_DIR')
      lock.release()
      expect(refusal(() => lockHere(second).release()).code).toBe('no error')
    }
  })

  test('the file is used where there is no tool', () => {
    withPath(dir, () => nodeDisk().lock(path, ''))

    expect(readHolder(readFileSync(path, 'utf8')).by).toBe('file')
  })

  test.skipIf(!hasFlock)('the tool is used where there is one', () => {
    nodeDisk().lock(path, '')

    expect(readHolder(readFileSync(path, 'utf8')).by).toBe('flock')
  })

  test('a tool that fails otherwise than by finding the lock held is ENOLCK', () => {
    writeFileSync(join(dir, 'flock'), '#!/bin/sh\nexit 71\n')
    chmodSync(join(dir, 'flock'), 0o755)

    expect(refusal(() => withPath(dir, () => nodeDisk().lock(path, ''))).code).toBe('ENOLCK')
  })

  test.each(ways)('a lock by %s on a missing folder leaves nothing', (way) => {
    path = join(dir, 'missing', 'LOCK')

    expect(refusal(() => lockHere(way)).code).toBe('ENOENT')
    expect(readdirSync(dir)).toEqual([])
  })
})

const withPath = <T>(value: string, action: () => T): T => {
  const before = process.env.PATH
  process.env.PATH = value
  try {
    return action()
  } finally {
    process.env.PATH = before
  }
}

describe('the fate of a holder', () => {
  const self: ProcessFacts = {
    pid: 10,
    host: 'here',
    bootId: 'boot',
    startTime: '500',
    pidSpace: '4:1',
  }
  const running = (pid: number): string | null | undefined =>
    ({ 10: '500', 11: '600', 12: null })[pid]

  test.each([
    ['this very process', {}, 'alive'],
    ['another process that runs', { pid: 11, startTime: '600' }, 'alive'],
    ['a process that is gone', { pid: 13 }, 'dead'],
    ['a pid that somebody else has now', { pid: 11, startTime: '599' }, 'dead'],
    ['a process whose start is hidden', { pid: 12 }, 'unknown'],
    ['an earlier boot of this host', { bootId: 'earlier' }, 'dead'],
    ['another host', { host: 'there', bootId: 'its own' }, 'unknown'],
    ['a container with another name, but our pids', { host: 'container' }, 'alive'],
    ['a container with its own pids', { host: 'container', pidSpace: '4:2' }, 'unknown'],
    ['our host name, but other pids', { pidSpace: '4:2' }, 'unknown'],
    ['no pid', { pid: undefined }, 'dead'],
    ['a pid that is text', { pid: '10' }, 'dead'],
    ['no boot', { bootId: '' }, 'dead'],
    ['no start', { startTime: undefined }, 'dead'],
  ])('%s', (_, facts, fate) => {
    expect(holderFate({ ...self, ...facts }, self, running)).toBe(fate)
  })

  test.skipIf(!hasPs)('ps tells when a process began where there is no /proc', () => {
    expect(startTimeByPs(process.pid)).toMatch(/ \d\d:\d\d:\d\d \d{4}$/)
    expect(startTimeByPs(2 ** 22 + 1)).toBeUndefined()
  })
})

/** Files in memory, with a process table of their own and a way to let others act at a certain moment. */
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
  /** What stands beside the process table. */
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

  test('names its holder by pid, host, boot, start and set of pids', () => {
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
        by: 'file',
      }),
      '',
    ])
    expect(files.left()).toEqual(['LOCK'])
  })

  test('of a live holder is refused, and nothing is left beside it', () => {
    const files = new MemoryFiles()
    files.files.set('/proc/900/stat', stat('S', 900))
    files.files.set('LOCK', holder(900))

    expect(take(files)).toBe('LOCKED_DIR')
    expect(files.left()).toEqual(['LOCK'])
  })

  test('of a zombie is taken: it has closed its files', () => {
    const files = new MemoryFiles()
    files.files.set('/proc/900/stat', stat('Z', 900))
    files.files.set('LOCK', holder(900))

    expect(take(files)).toBe('no error')
    expect(heldBy(files)).toBe(process.pid)
  })

  test('of a holder that cannot be judged is refused, and says that a person must', () => {
    const files = new MemoryFiles()
    // Process 1 is there, but its start cannot be seen.
    files.files.set('LOCK', holder(1))
    const { code, details } = refusal(() => lockFolder(files, 'LOCK', 'me', { flock: false }))

    expect([code, details?.certain]).toEqual(['LOCKED_DIR', false])
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

  test('that another takes over while we look is left to it', () => {
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

  test('that another is taking over is refused, in its name', () => {
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

  test('that another died taking over is taken from both', () => {
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

  test('that its holder releases while we look is ours', () => {
    const files = new MemoryFiles()
    files.files.set('LOCK', holder(absent))
    files.beforeNew = (path) => {
      if (path !== 'LOCK') files.files.delete('LOCK')
    }

    expect(take(files)).toBe('no error')
    expect(heldBy(files)).toBe(process.pid)
  })

  test('that was removed by hand and taken by another is not released by us', () => {
    const files = new MemoryFiles()
    const lock = lockFolder(files, 'LOCK', 'me', { flock: false })
    files.files.set('LOCK', holder(900))
    lock.release()

    expect(heldBy(files)).toBe(900)
  })

  test('is refused where nobody could tell whether we live', () => {
    const files = new MemoryFiles()
    files.files.delete('/proc/sys/kernel/random/boot_id')

    expect(withPath(dir, () => take(files))).toBe('ENOLCK')
    expect(files.left()).toEqual([])
  })
})
