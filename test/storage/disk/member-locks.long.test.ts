/** Locks that several processes share, and locks of one of them, between real processes. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type MemberLockFiles, memberLocksOn } from '../../../src/storage/disk/member-locks.ts'
import { memberLocks, nodeDisk, shareLock } from '../../../src/storage/disk/node-disk.ts'
import { LockProcess } from '../../support/commands/lock-process.ts'
import { lockBy, noFlock, refusal, withPath } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const holder = '{"role":"test"}'

let path: string

beforeEach(() => {
  path = join(tempFolder(), 'LOCK')
})

const begun = async (before: readonly string[] = []): Promise<LockProcess> => {
  const other = new LockProcess(before)
  onTestFinished(() => other.kill())
  expect(await other.answer()).toBe('ready')
  return other
}

describe.skipIf(lacks(noFlock))('a lock that members share', () => {
  test('is shared by several, and by nobody who wants it alone', async () => {
    const one = memberLocks().share(path, holder)
    const other = await begun()
    expect(await other.ask(`share member ${path}`)).toBe('held')
    expect(await (await begun()).ask(`lock flock ${path}`)).toBe('LOCKED_DIR')
    one.release()

    expect(refusal(() => lockBy('flock', path))).toMatchObject({
      code: 'LOCKED_DIR',
      details: { certain: true, holder: { by: 'members', host: hostname(), role: 'test' } },
    })
    expect(() => lockBy('flock', path)).toThrow('is held by members of an instance')
    await other.ask('release')
    expect(refusal(() => lockBy('flock', path)).code).toBe('no error')
  })

  test('is refused while one process has it alone', async () => {
    const other = await begun()
    expect(await other.ask(`lock flock ${path}`)).toBe('held')

    expect(refusal(() => memberLocks().share(path, holder))).toMatchObject({
      code: 'LOCKED_DIR',
      details: { holder: { pid: other.child.pid } },
    })
  })

  test('is refused while a process without the tool has it', () => {
    const lock = lockBy('file', path)

    expect(refusal(() => memberLocks().share(path, holder)).code).toBe('LOCKED_DIR')
    lock.release()
    expect(refusal(() => memberLocks().share(path, holder)).code).toBe('no error')
  })

  test('is not taken by a process without the tool, which cannot see who shares it', () => {
    const lock = memberLocks().share(path, holder)

    expect(refusal(() => lockBy('file', path))).toMatchObject({
      code: 'LOCKED_DIR',
      details: { certain: false },
    })
    lock.release()
    expect(refusal(() => lockBy('file', path)).code, 'the last one blanked it').toBe('no error')
  })

  test('is refused to those who only read a closed folder, until the last one is gone', () => {
    const lock = memberLocks().share(path, holder)
    const lines = readFileSync(path)
    expect(refusal(() => shareLock(path)).code).toBe('LOCKED_DIR')
    lock.release()
    // As after a kill of all: the lines stay.
    writeFileSync(path, lines)

    expect(refusal(() => shareLock(path)).code).toBe('no error')
  })

  test('is free at once after SIGKILL of the last who shared it', async () => {
    const [one, other] = [await begun(), await begun()]
    await one.ask(`share member ${path}`)
    await other.ask(`share member ${path}`)
    await one.kill()
    expect(refusal(() => lockBy('flock', path)).code).toBe('LOCKED_DIR')
    await other.kill()

    expect(refusal(() => lockBy('flock', path)).code).toBe('no error')
  })

  test('names the place of its holders: those of another place are refused while they live', () => {
    const elsewhere = JSON.stringify({ by: 'members', host: 'there', bootId: 'x', pidSpace: '4:2' })
    writeFileSync(path, `${holder}\n${elsewhere}\n`)
    // Nobody shares it: the lines are of the dead.
    memberLocks().share(path, holder).release()

    memberLocks().share(path, holder)
    writeFileSync(path, `${holder}\n${elsewhere}\n`)
    expect(refusal(() => memberLocks().share(path, holder))).toMatchObject({
      code: 'CONFIG',
      details: { path: 'cluster.engine' },
    })
    expect(readFileSync(path, 'utf8'), 'nothing is written').toContain(elsewhere)
  })
})

describe.skipIf(lacks(noFlock))('a lock of one member', () => {
  test('is free at once after SIGKILL of its holder', async () => {
    const other = await begun()
    expect(await other.ask(`lock member ${path}`)).toBe('held')
    expect(memberLocks().holder(path)).toMatchObject({
      facts: { pid: other.child.pid, role: 'test' },
      fate: 'alive',
    })
    await other.kill()

    expect(memberLocks().holder(path)?.fate).toBe('dead')
    expect(refusal(() => memberLocks().lock(path, holder)).code).toBe('no error')
  })

  test('stays while its holder is stopped', async () => {
    const other = await begun()
    expect(await other.ask(`lock member ${path}`)).toBe('held')
    other.child.kill('SIGSTOP')
    while (!/^State:\s+T/m.test(readFileSync(`/proc/${other.child.pid}/status`, 'utf8')));

    expect(memberLocks().holder(path)?.fate).toBe('alive')
    expect(refusal(() => memberLocks().lock(path, holder)).code).toBe('LOCKED_DIR')
    other.child.kill('SIGCONT')
    expect(await other.ask('release')).toBe('released')
    expect(memberLocks().holder(path)).toEqual({ facts: {}, fate: 'dead' })
  })

  test('has no holder without its file', () => {
    expect(memberLocks().holder(path)).toBeUndefined()
  })
})

describe('members are refused with CONFIG', () => {
  test.each(['share', 'lock'] as const)('without the tool: %s', (way) => {
    withPath('/nowhere', () => {
      expect(refusal(() => memberLocks()[way](path, holder))).toMatchObject({
        code: 'CONFIG',
        details: { path: 'cluster.engine' },
      })
    })
  })

  test('on a file system of another machine', () => {
    const file = { close: () => undefined }
    const files = { open: () => file, isRemote: () => true } as unknown as MemberLockFiles

    expect(refusal(() => memberLocksOn(files).share(path, holder))).toMatchObject({
      code: 'CONFIG',
      details: { path: 'dir' },
    })
  })

  const ownPids = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']
  const [unshare = '', ...options] = ownPids
  const noPidSpace =
    spawnSync(unshare, [...options, 'true']).status === 0
      ? undefined
      : 'unshare cannot make a pid namespace here'

  test.skipIf(lacks(noFlock ?? noPidSpace))(
    'in another pid namespace than the others',
    async () => {
      const [here, there] = [await begun(), await begun(ownPids)]
      expect(await here.ask(`share member ${path}`)).toBe('held')

      expect(await there.ask(`share member ${path}`)).toBe('CONFIG')
      await here.kill()
      expect(await there.ask(`share member ${path}`), 'those are gone').toBe('held')
      expect(nodeDisk().entry(path)?.kind).toBe('file')
    },
  )
})
