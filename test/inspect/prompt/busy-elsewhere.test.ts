/** A busy actor says at every member of a folder which message it handles, and since when. */
import { expect, test } from 'vitest'
import { call, type DurableServer, entity, noReply, supervisor } from '../../../src/index.ts'
import { answerPages, Observer } from '../../../src/inspect/observe/observer.ts'
import { promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../../src/inspect/prompt/session.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Messages = { calls: { save: () => void } }
const customer: DurableServer<Messages, string> = {
  init: () => 'born',
  calls: { save: (state) => new Promise(() => noReply(state)) },
}

test('a call that never ends is named by state, info and the page of another member, and by its timeout', async () => {
  const folder = new FolderMembers(['a', 'b'], { seed: 3, delayMs: 5 })
  const customers = entity('customer', customer)
  const apps = await folder.start(undefined, () => ({ app: supervisor('app', {}, [customers]) }))
  const [a, b] = apps as [App, App]
  answerPages(a)
  answerPages(b)
  const id = ['1', '2', '3', '4', '5'].find((each) =>
    b.entities.isElsewhere(`customer/${each}`),
  ) as string
  await folder.during(a.entity('customer').load(id))
  const since = folder.clock.now()
  const late = call(b.entity('customer').ref(id) as never, 'save' as never)
  const failure = await folder.during((late as Promise<never>).catch((error: Error) => error))
  const handles = `it handles call save since ${new Date(since).toISOString().slice(0, 19)}`
  expect((failure as Error).message).toContain(`customer/${id} at a, the owner of shard `)
  expect((failure as Error).message).toContain(handles)

  const words = promptWords(b, plainPaint)
  const session = new LocalSession({ words, colours: false, verbose: false, completions: () => [] })
  const asked = async (line: string): Promise<string> =>
    (await folder.during(session.run(line))).text ?? ''
  expect(await asked(`info('customer/${id}')`)).toMatch(/handling +call save, since 20/)
  expect(await asked(`state('customer/${id}')`)).toContain(handles)
  const page = new Observer(b, { isWriting: false, user: 'ann' })
  const look = { id: 1, look: 'entity', query: { kind: 'customer', id } }
  expect(await folder.during(page.answer(look))).toMatchObject({
    answer: {
      data: { member: 'a', handling: { message: 'call save', since: expect.any(Number) } },
    },
  })
})
