/**
 * The main row of a durable actor in LMDB, damaged on a real disk: below a running instance, or
 * before a start (needs the build).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type App,
  call,
  type DurableServer,
  entity,
  name,
  type Ref,
  reply,
  start,
  supervisor,
  worker,
} from 'keelson'
import { silentLogger } from 'keelson/testing'
import { expect, test } from 'vitest'
import { tempFolder } from '../../support/temp-folder.ts'
import { flip, pages } from './folder-harm.ts'

type Messages = { calls: { write: (text: string) => void; read: () => string } }

const server: DurableServer<Messages, string, Record<never, never>, string> = {
  init: () => '',
  calls: { write: (_, text) => reply(undefined, text), read: (text) => reply(text, text) },
}
const page = entity('page', server)
const app = supervisor('app', {}, [page, worker('till', server, { durable: true, arg: '' })])
const text = 'acknowledged'.repeat(9)

const refsIn = (running: App): readonly Ref<Messages>[] => [
  running.entity(page).ref('a'),
  running.system.to(name<Messages>('till')),
]

const shownIn = (running: App): Promise<readonly string[]> =>
  Promise.all(refsIn(running).map((ref) => call(ref, 'read')))

/** Damages each copy of the text in the projection's file, those in free pages too. */
const damage = (dir: string): void => {
  const path = pages(dir, 0)
  const file = readFileSync(path)
  let copies = 0
  for (let at = file.indexOf(text); at >= 0; at = file.indexOf(text, at + 1)) {
    flip(path, at + 5)
    copies++
  }
  expect(copies).toBeGreaterThanOrEqual(2)
}

test.each(['below a running instance', 'before a start'])(
  'a main row that is damaged %s is built anew: actors answer as before',
  async (when) => {
    const dir = tempFolder()
    const options = { dir: join(dir, 'd'), app, logger: silentLogger }
    let running = await start(options)
    for (const ref of refsIn(running)) await call(ref, 'write', text)
    await running.control.flushAll()
    if (when === 'before a start') {
      await running.close()
      damage(dir)
      running = await start(options)
    } else {
      damage(dir)
      running.system.kill(refsIn(running)[1] as Ref<Messages>)
    }

    await running.entity(page).stop('a')
    expect(await call(refsIn(running)[0] as Ref<Messages>, 'read')).toBe(text)
    await running.close()
    running = await start(options)
    expect(await shownIn(running)).toEqual([text, text])
    await running.close()
  },
)
