/** A word that waits for all members names the one that does not answer, in time. */
import { expect, test } from 'vitest'
import { promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../../src/inspect/prompt/session.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

test.each(['store.settled()', "backup('/copy')"])(
  '%s names the member that does not answer, in time',
  async (line) => {
    const folder = new FolderMembers(['a', 'b'])
    const [a] = (await folder.start()) as [App, App]
    const words = promptWords(a, plainPaint)
    const session = new LocalSession({
      words,
      colours: false,
      verbose: false,
      completions: () => [],
    })
    folder.links.pause('b')
    const began = folder.clock.monotonic()
    const { text = '' } = await folder.during(session.run(line))
    expect(text).toContain(
      `TIMEOUT: ${line.replace(/\('.*/, '')} waits for b, which does not answer`,
    )
    expect(folder.clock.monotonic() - began).toBeLessThan(20_000)
    folder.links.resume('b')
    await folder.clock.advance(60_000)
  },
)
