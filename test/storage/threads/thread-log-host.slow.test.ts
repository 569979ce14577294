/** The threads of logs, as they are built: the contract of a host alone on its thread and beside another one, and how it ends. */
import { readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import type * as Storage from '../../../src/storage/index.ts'
import { type LogUnderTest, logHostContract } from '../../contracts/log-host.contract.ts'
import { tempFolder } from '../../support/temp-folder.ts'

type LogHost = LogUnderTest['makeHost'] extends () => infer Host ? Host : never

const built = pathToFileURL(join(import.meta.dirname, '../../../dist/storage/index.js')).href
const storage = (await import(built)) as typeof Storage

const options = { maxFileSize: 64 * 1024, sectorBytes: 4096 }

logHostContract('on a thread, on the real disk', () => ({
  dir: join(tempFolder(), 'wal'),
  options,
  makeHost: storage.threadLogHosts(),
  during: (work) => work,
}))

/** A log that is open, and a commit to it of one frame of `size` bytes. */
const openedLog = async (makeHost: () => LogHost, dir = join(tempFolder(), 'wal')) => {
  const host = makeHost()
  const inspect = () => host.run('inspect', { dir, options, evidence: [] })
  if (!(await inspect()).exists) await host.run('create', { dir, options })
  const { lastLsn } = await host.run('open', { dir, options, inspection: await inspect() })
  const commit = (size = 100) =>
    host.run('commit', {
      bytes: new Uint8Array(8 + size),
      lengths: [8 + size],
      now: 1,
      sync: true,
      projectedLsn: 0,
    })
  return { host, dir, lastLsn, commit }
}

/** Hosts of one thread, on which another log stays open. */
const besideAnother = async () => {
  const makeHost = storage.threadLogHosts(1)
  const other = await openedLog(makeHost)
  onTestFinished(() => other.host.end())
  return { makeHost, other }
}

logHostContract('on a thread that has another log', async () => ({
  dir: join(tempFolder(), 'wal'),
  options,
  makeHost: (await besideAnother()).makeHost,
  during: (work) => work,
}))

/** Hosts of one thread on which two logs commit all the time: files are synced side by side. */
const besideCommits = async () => {
  const makeHost = storage.threadLogHosts(1)
  const others = await Promise.all([openedLog(makeHost), openedLog(makeHost)])
  const round = () => Promise.all(others.map(({ commit }) => commit()))
  // The threads that sync have started then.
  for (let count = 0; count < 80; count++) await round()
  let isOver = false
  const going = others.map(async ({ commit }) => {
    while (!isOver) await commit()
  })
  onTestFinished(async () => {
    isOver = true
    await Promise.all(going)
    await Promise.all(others.map(({ host }) => host.end()))
  })
  return makeHost
}

logHostContract('on a thread whose other logs commit at the same time', async () => ({
  dir: join(tempFolder(), 'wal'),
  options,
  makeHost: await besideCommits(),
  during: (work) => work,
}))

/** The open files of this process below `dir`. */
const openFiles = (dir: string): string[] =>
  readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`)
      } catch {
        return ''
      }
    })
    .filter((path) => path.startsWith(dir))

describe('a log that ends beside another one on its thread', () => {
  test('refuses what it was asked, writes nothing afterwards, and leaves no file open', async () => {
    const { makeHost, other } = await besideAnother()
    const { host, dir, commit } = await openedLog(makeHost)
    await commit()
    const asked = Array.from({ length: 20 }, () => commit(3_000))
    const ended = host.end()
    for (const outcome of await Promise.allSettled([...asked, commit()]))
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } })
    await ended
    if (process.platform === 'linux') expect(openFiles(dir)).toEqual([])

    const next = await openedLog(makeHost, dir)
    expect(next.lastLsn).toBeGreaterThanOrEqual(1)
    expect((await next.commit()).durableLsn).toBe(next.lastLsn + 1)
    await next.host.end()
    await expect(other.commit()).resolves.toMatchObject({ durableLsn: 1 })
  })

  test('ends although its file is being synced, and leaves no file open', async () => {
    const makeHost = await besideCommits()
    for (let round = 0; round < 10; round++) {
      const { host, dir, commit } = await openedLog(makeHost)
      const asked = [commit(), commit()].map((answer) => answer.catch(({ code }) => code))
      await commit().catch(() => undefined)
      await host.end()
      await Promise.all(asked)
      if (process.platform === 'linux') expect(openFiles(dir)).toEqual([])
    }
  })

  test('ends although a spare is being made, and the next opening writes on', async () => {
    const { makeHost } = await besideAnother()
    let { host, dir, commit } = await openedLog(makeHost)
    for (let life = 1; life <= 4; life++) {
      for (let count = 0; count < 40; count++) await commit(16_000)
      const { lastLsn } = await host.run('state', null)
      await host.end()
      const next = await openedLog(makeHost, dir)
      expect(next.lastLsn).toBe(lastLsn)
      ;({ host, dir, commit } = next)
    }
    await host.end()
  })

  test('has no file open when its end resolves, whichever log ends first', async () => {
    if (process.platform !== 'linux') return
    for (let round = 0; round < 20; round++) {
      const makeHost = storage.threadLogHosts(1)
      const logs = await Promise.all([openedLog(makeHost), openedLog(makeHost)])
      const open = await Promise.all(
        logs.map(async ({ host, dir }) => {
          await host.end()
          return openFiles(dir)
        }),
      )
      expect(open).toEqual([[], []])
    }
  })

  test('resolves each end, also the second one of the same log and that of the last log', async () => {
    const makeHost = storage.threadLogHosts(1)
    const logs = await Promise.all([openedLog(makeHost), openedLog(makeHost), openedLog(makeHost)])
    await Promise.all(logs.flatMap(({ host }) => [host.end(), host.end()]))
    for (const { commit } of logs) await expect(commit()).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
