/** The link of the page to its instance, over the real socket (needs the build). */
import { EventEmitter, once } from 'node:events'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type App, folderEngine, start } from '../../../dist/index.js'
import { virtualClock } from '../../../src/clock.ts'
import { InstanceLink } from '../../../src/inspect/page-server/instance-link.ts'
import { capturedLog, silentLogger } from '../../../src/testing/kit/captured-log.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const running = (dir: string) => start({ dir, attach: true, logger: capturedLog() })

const linked = (dir: string, write = false) => {
  const clock = virtualClock()
  const link = new InstanceLink({ dir }, clock, { write, user: 'ann' })
  onTestFinished(() => link.close())
  return { clock, link }
}

/** A question at the end of a connection rejects with it, or is refused after it. */
const lost = (link: InstanceLink) => link.ask(header).catch(() => undefined)

const header = { look: 'header', query: {} }
const planned = { effect: '', start: '' }
const kill = { act: { act: 'kill', pid: 1, reason: 'a trial' }, planned } as const

describe('the link (needs the build)', () => {
  test('answers questions, and says since when the instance is away', async () => {
    const dir = tempFolder()
    const app = await running(dir)
    const { clock, link } = linked(dir)
    await link.open()
    expect(await link.ask(header)).toMatchObject({ data: null, header: { instance: 'default' } })
    expect(link.away).toBeUndefined()

    await app.close()
    await lost(link)
    expect(link.away).toMatchObject({ since: clock.now() })
    expect(await codeOf(link.ask(header))).toBe('NO_PROCESS')
  })

  test('is made again after half a second when the instance has restarted', async () => {
    const dir = tempFolder()
    const first = await running(dir)
    const { clock, link } = linked(dir)
    await link.open()
    const opening = vi.spyOn(link, 'open')
    await first.close()
    await lost(link)
    await clock.advance(500)
    expect(await codeOf(opening.mock.results[0]?.value)).toBe('NO_PROCESS')
    expect(link.away).toBeDefined()

    const second = await running(dir)
    onTestFinished(() => second.close().then(() => undefined))
    await clock.advance(500)
    await opening.mock.results[1]?.value
    expect(link.away).toBeUndefined()
    expect(await link.ask(header)).toMatchObject({ data: null })
  })

  test('acts only if it was opened for writing: the instance refuses it', async () => {
    const dir = tempFolder()
    const app = await running(dir)
    onTestFinished(() => app.close().then(() => undefined))
    const { link } = linked(dir)
    await link.open()

    expect(await codeOf(link.ask(kill))).toBe('READ_ONLY')
    const { link: writing } = linked(dir, true)
    await writing.open()
    expect(await codeOf(writing.ask({ ...kill, act: { ...kill.act, pid: 999_999 } }))).toBe(
      'NO_PROCESS',
    )
  })

  test('is to any member of a folder, shows the others there, and goes on when that one ends', async () => {
    const dir = tempFolder()
    const log = new EventEmitter()
    const info = (line: string): void => void log.emit(line)
    const isLinked = once(log, 'linked to b')
    const members = ['a', 'b'].map((member) =>
      start({
        ...{ dir, attach: true, logger: { ...silentLogger, info }, shards: 2 },
        cluster: { name: 'm', member, engine: folderEngine({ members: ['a', 'b'] }) },
      }),
    )
    const [a, b] = (await Promise.all(members)) as [App, App]
    // A start waits for no other member.
    await isLinked
    onTestFinished(() => b.close().then(() => undefined))
    const { clock, link } = linked(dir)
    await link.open()
    expect(await link.ask(header)).toMatchObject({ header: { member: 'a', members: ['a', 'b'] } })
    expect(await link.ask({ look: 'header', query: { member: 'b' } })).toMatchObject({
      header: { member: 'b' },
    })

    await a.close()
    await lost(link)
    const opening = vi.spyOn(link, 'open')
    await clock.advance(500)
    await opening.mock.results[0]?.value
    expect(await link.ask(header)).toMatchObject({ header: { member: 'b' } })
  })

  test('takes no source, and rejects where no instance runs', async () => {
    const dir = tempFolder()
    expect(await codeOf(linked(dir).link.open())).toBe('NO_PROCESS')
    const app = await running(dir)
    onTestFinished(() => app.close().then(() => undefined))
    const { link } = linked(dir)
    await link.open()

    expect(await codeOf(link.ask({ run: 'process.exit()' } as never))).toBe('READ_ONLY')
  })
})
