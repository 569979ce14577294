/** Locks between real processes: held, refused, and free after any end of their holders. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
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
import { readHolder } from '../../../src/storage/disk/lock-holder.ts'
import { LockProcess, lockScript } from '../../support/commands/lock-process.ts'
import { lockBy, noFlock, refusal, ways } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'

let dir: string

let path: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'keelson-lock-'))
  path = join(dir, 'LOCK')
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe.each(ways)('a lock by %s, between processes', (way) => {
  let others: LockProcess[]
  let other: LockProcess
  beforeAll(async () => {
    others = Array.from({ length: 4 }, () => new LockProcess())
    for (const one of others) expect(await one.answer()).toBe('ready')
  })
  beforeEach(async () => {
    other = new LockProcess()
    expect(await other.answer()).toBe('ready')
  })
  afterEach(() => other.kill())
  afterAll(async () => {
    for (const one of others) await one.kill()
  })

  test('is refused to the second process, with pid, host and facts of the first', async () => {
    expect(await other.ask(`lock ${way} ${path}`)).toBe('held')

    expect(refusal(() => lockBy(way, path))).toMatchObject({
      code: 'LOCKED_DIR',
      details: {
        path,
        certain: true,
        holder: { pid: other.child.pid, host: hostname(), role: 'test' },
      },
    })
  })

  test('of this process is refused to others until release', async () => {
    const lock = lockBy(way, path)
    expect(await other.ask(`lock ${way} ${path}`)).toBe('LOCKED_DIR')
    lock.release()

    expect(await other.ask(`lock ${way} ${path}`)).toBe('held')
  })

  test('is free at once after SIGKILL of its holder', async () => {
    expect(await other.ask(`lock ${way} ${path}`)).toBe('held')
    await other.kill()

    const lock = lockBy(way, path)
    const content = readFileSync(path, 'utf8')
    expect(readHolder(content).pid).toBe(process.pid)
    expect(content.split('\n').length, 'two lines, and nothing of the dead').toBe(3)
    lock.release()
  })

  test('is free after its holder exits without release', async () => {
    expect(await other.ask(`lock ${way} ${path}`)).toBe('held')
    other.child.stdin?.write('exit\n')
    await once(other.child, 'exit')

    expect(refusal(() => lockBy(way, path)).code).toBe('no error')
  })

  test('is not kept by the children of a dead holder', async () => {
    expect(await other.ask(`lock ${way} ${path}`)).toBe('held')
    const orphan = Number(await other.ask('child'))
    await other.kill()

    onTestFinished(() => void process.kill(orphan, 'SIGKILL'))
    expect(process.kill(orphan, 0)).toBe(true)
    expect(refusal(() => lockBy(way, path)).code).toBe('no error')
  })

  test('is not kept by this process’s children after release', async () => {
    const lock = lockBy(way, path)
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child, 'spawn')
    lock.release()

    expect(refusal(() => lockBy(way, path)).code).toBe('no error')
  })

  test('of a dead holder goes to exactly one of many processes', async () => {
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

test.skipIf(lacks(noFlock))('a lock of a thread is free after the thread has ended', async () => {
  const thread = new Worker(lockScript, { stdin: true, stdout: true, execArgv: [] })
  const lines = createInterface({ input: thread.stdout })[Symbol.asyncIterator]()
  thread.stdin?.write(`lock flock ${path}\n`)
  expect([await lines.next(), await lines.next()]).toMatchObject([
    { value: 'ready' },
    { value: 'held' },
  ])
  expect(refusal(() => lockBy('flock', path)).code).toBe('LOCKED_DIR')
  await thread.terminate()

  expect(refusal(() => lockBy('flock', path)).code).toBe('no error')
})

const ownPids = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']
const [unshare = '', ...options] = ownPids
/** Why no pid namespace can be made here, as a container has one; `undefined` when it can. */
const noPidSpace =
  spawnSync(unshare, [...options, 'true']).status === 0
    ? undefined
    : 'unshare cannot make a pid namespace here'

test.skipIf(lacks(noPidSpace))(
  'a lock by file of a container is held while it runs, and free without hands when it is gone',
  async () => {
    const [first, second] = [new LockProcess(ownPids), new LockProcess(ownPids)]
    onTestFinished(async () => void (await Promise.all([first.kill(), second.kill()])))
    for (const one of [first, second]) expect(await one.answer()).toBe('ready')

    expect(await first.ask(`lock file ${path}`)).toBe('held')
    expect(await second.ask(`lock file ${path}`)).not.toBe('held')
    expect(refusal(() => lockBy('file', path))).toMatchObject({
      code: 'LOCKED_DIR',
      details: { certain: true },
    })

    await first.kill()
    expect(await second.ask(`lock file ${path}`)).toBe('held')
    await second.kill()
    lockBy('file', path).release()
    expect(readdirSync(dir)).toEqual([])
  },
)
