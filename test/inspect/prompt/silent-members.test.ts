/** A word that waits for all members names the one that does not answer, in time. */
import { expect, test } from 'vitest'
import { answerLooks } from '../../../src/inspect/answers/member-looks.ts'
import { promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../../src/inspect/prompt/session.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { type App, innerParts } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

const session = async () => {
  const folder = new FolderMembers(['a', 'b'])
  const apps = (await folder.start()) as [App, App]
  for (const app of apps) answerLooks(app)
  const [a] = apps
  const words = promptWords(a, plainPaint)
  const opened = new LocalSession({ words, colours: false, verbose: false, completions: () => [] })
  const keysOf = (member: string): string => {
    for (let at = 0; ; at++)
      if (a[innerParts].way?.ownerOf(a.store.shardOf(`k${at}`)) === member) return `k${at}`
  }
  return { folder, run: (line: string) => folder.during(opened.run(line)), keysOf }
}

test.each([
  ['store.settled()', 3_500],
  ['store.put(KEY, 1)', 3_500],
  ["store.read('get', KEY)", 3_500],
  ['control.flushAll()', 3_500],
  ['batcher.flush()', 3_500],
  // A pause of a member ends no long work.
  ["backup('/copy')", 7_500],
])('%s names the member that does not answer, within %i ms', async (line, boundMs) => {
  const { folder, run, keysOf } = await session()
  const key = keysOf('b')
  if (line === 'store.settled()') void run(`store.put('${key}', 0)`).catch(() => undefined)
  folder.links.pause('b')
  const began = folder.clock.monotonic()
  const { text = '' } = await run(line.replace('KEY', `'${key}'`))
  expect(text).toMatch(
    /^TIMEOUT: [\w.]+\(\) has not ended, as no answer comes from the member b; it continues/,
  )
  expect(folder.clock.monotonic() - began).toBeLessThan(boundMs)
  folder.links.resume('b')
  await folder.clock.advance(60_000)
})

test('a word that takes long while all members answer ends with its answer', async () => {
  const { folder, run } = await session()
  const began = folder.clock.monotonic()
  expect(
    (await run('new Promise((end) => app.system.clock.after(20_000, () => end(1)))')).text,
  ).toBe('1')
  expect(folder.clock.monotonic() - began).toBeGreaterThan(19_000)
})
