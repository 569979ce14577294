/** Links over real sockets, to members in other processes, which are killed and stopped. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { KeelsonError } from '../../../src/errors.ts'
import { unixTransport } from '../../../src/members/links/unix-transport.ts'
import { call, cast, createSystem, type Ref } from '../../../src/runtime/index.ts'
import { capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { type ChildProgram, childProgram } from '../../support/commands/child-program.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import {
  deskAt,
  type LinkedMember,
  startDesk,
  startMember,
} from '../../support/worlds/linked-members.ts'

/** A member in this process. `onWarning` gets the warnings of its log. */
const memberHere = async (
  member: string,
  dir: string,
  onWarning: (line: string) => void = () => undefined,
): Promise<LinkedMember> => {
  const nothing = (): void => undefined
  const log = capturedLog({ error: nothing, warn: onWarning, info: nothing })
  const system = createSystem({ logger: log })
  const made = await startMember(member, unixTransport(dir, member), { system, log })
  onTestFinished(() => system.stop())
  return made
}

/** A member in another process, once it has started. */
const memberThere = async (member: string, dir: string, others: string): Promise<ChildProgram> => {
  let started = (): void => undefined
  const isStarted = new Promise<void>((resolve) => {
    started = resolve
  })
  const child = childProgram('linked-member.mjs', [member, dir, others], (line) => {
    if (line === 'started') started()
  })
  await Promise.race([isStarted, child.ended.then(() => Promise.reject(child.stderr()))])
  return child
}

type ThereMessages = {
  calls: {
    echo: (payload: unknown) => unknown
    never: () => void
    notes: () => number
    memory: () => number
  }
  casts: { note: (payload: unknown) => void }
}

const there = ({ members }: LinkedMember, member: string): Ref<ThereMessages> => {
  members.expect(member)
  return members.at(member).ref<ThereMessages>('desk')
}

const patiently = { waitForName: true, timeoutMs: 60_000 }
const code = (error: KeelsonError): string => error.code

describe('a socket in the folder', () => {
  test('has the mode 0600, replaces what a killed process left, and goes with its member', async () => {
    const dir = tempFolder()
    mkdirSync(join(dir, 'links'))
    writeFileSync(join(dir, 'links/b'), 'left')
    const [a, b] = [await memberHere('a', dir), await memberHere('b', dir)]
    await startDesk(b)
    const desk = deskAt(a)
    expect(await call(desk, 'echo', { some: 'value' }, patiently)).toEqual({ some: 'value' })
    expect(readdirSync(join(dir, 'links')).sort()).toEqual(['a', 'b'])
    for (const each of ['a', 'b'])
      expect(statSync(join(dir, 'links', each)).mode & 0o7777).toBe(0o600)
    await b.stop()
    expect(existsSync(join(dir, 'links/b'))).toBe(false)
  })

  test('may be in a folder whose path is longer than a socket may have', async () => {
    const dir = join(tempFolder(), 'x'.repeat(200))
    mkdirSync(dir)
    const [a, b] = [await memberHere('a', dir), await memberHere('b', dir)]
    await startDesk(b)
    expect(await call(deskAt(a), 'echo', 1, patiently)).toBe(1)
  })

  test('carries messages of all sizes in their order', async () => {
    const dir = tempFolder()
    const [a, b] = [await memberHere('a', dir), await memberHere('b', dir)]
    await startDesk(b)
    const desk = deskAt(a)
    await call(desk, 'echo', 0, patiently)
    const sizes = [0, 1, 100, 65_530, 70_000, 3_000_000, 7, 1_000_000, 2]
    for (const size of sizes) expect(cast(desk, 'note', Buffer.alloc(size, size & 255))).toBe(true)
    const seen = (await call(desk, 'seen', undefined, patiently)) as Buffer[]
    expect(seen.map(({ length }) => length)).toEqual(sizes)
    expect(seen.every((bytes) => bytes.every((byte) => byte === (bytes.length & 255)))).toBe(true)
  })

  test('that cannot be made is tried again, and the log says so once', async () => {
    const dir = tempFolder()
    writeFileSync(join(dir, 'links'), 'a file')
    const a = await memberHere('a', dir)
    const warnings: string[] = []
    let warned = (): void => undefined
    const isWarned = new Promise<void>((resolve) => {
      warned = resolve
    })
    const b = await memberHere('b', dir, (line) => {
      warnings.push(line)
      warned()
    })
    await startDesk(b)
    await isWarned
    rmSync(join(dir, 'links'))
    expect(await call(deskAt(a), 'echo', 1, patiently)).toBe(1)
    expect(warnings).toEqual([expect.stringMatching(/^no member can connect: /)])
  })
})

describe('members in other processes', () => {
  test('that are killed leave no call without an outcome, and are linked when they come back', async () => {
    const dir = tempFolder()
    const a = await memberHere('a', dir)
    const [b] = await Promise.all([memberThere('b', dir, 'c'), memberThere('c', dir, 'b')])
    expect(await call(there(a, 'b'), 'echo', 1, patiently)).toBe(1)
    expect(await call(there(a, 'c'), 'echo', 1, patiently)).toBe(1)
    const never = call(there(a, 'b'), 'never', undefined, { timeoutMs: 60_000 }).catch(code)
    const down = new Promise((resolve) => a.system.monitor(there(a, 'b') as Ref, resolve))
    const others = Array.from({ length: 100 }, (_, at) => call(there(a, 'c'), 'echo', at))
    b.process.kill('SIGKILL')
    expect(await never).toBe('UNKNOWN_OUTCOME')
    expect(await down).toBe('noconnection')
    expect(await Promise.all(others)).toEqual(others.map((_, at) => at))
    expect(await call(there(a, 'b'), 'notes').catch(code)).toBe('NO_PROCESS')
    const back = call(there(a, 'b'), 'echo', 3, patiently)
    await memberThere('b', dir, 'c')
    expect(await back).toBe(3)
  })

  test('that are stopped slow only who calls them, within bounds, and go on afterwards', async () => {
    const dir = tempFolder()
    const a = await memberHere('a', dir)
    const [b] = await Promise.all([memberThere('b', dir, 'c'), memberThere('c', dir, 'b')])
    await call(there(a, 'b'), 'echo', 1, patiently)
    await call(there(a, 'c'), 'echo', 1, patiently)
    const before = await call(there(a, 'b'), 'memory')
    b.process.kill('SIGSTOP')
    const outcome = async (timeoutMs: number): Promise<unknown> =>
      call(there(a, 'b'), 'echo', 'answered', { timeoutMs }).catch(code)
    expect(await outcome(50)).toBe('TIMEOUT')
    let sent = 0
    for (let round = 0; round < 400; round++) {
      if (cast(there(a, 'b'), 'note', Buffer.alloc(64 * 1024))) sent++
      expect(await call(there(a, 'c'), 'echo', round)).toBe(round)
    }
    expect(await outcome(50)).toBe('BUSY')
    const [status] = a.members.status.filter(({ member }) => member === 'b')
    expect(status?.bytes).toBeLessThanOrEqual(8 * 1024 * 1024)
    b.process.kill('SIGCONT')
    // Refused for as long as the casts wait for room, and then it has its place after them.
    while ((await outcome(60_000)) === 'BUSY') await call(there(a, 'c'), 'echo', 0)
    expect(await call(there(a, 'b'), 'notes')).toBe(sent)
    expect((await call(there(a, 'b'), 'memory')) - before).toBeLessThan(150 * 1024 * 1024)
    expect(a.said().filter((line) => line.includes('ended'))).toEqual([])
  })
})
