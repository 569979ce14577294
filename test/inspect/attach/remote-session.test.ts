/** A session over a socket, with an instance that answers and leaves. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'
import { RemoteSession } from '../../../src/inspect/attach/remote-session.ts'
import { farInstance } from '../../support/worlds/far-instance.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** A session, and its other side, which answers looks until it is told to stop. */
const opened = async () => {
  const told = { isSilent: false }
  const far = await farInstance((answer) => {
    if (!told.isSilent) answer({ rows: 'x'.repeat(1_000) })
  })
  const options = { colours: false, verbose: false }
  const { session } = await RemoteSession.open({ dir: far.dir }, options)
  onTestFinished(() => session.close())
  return { session, far, told }
}

const look = { look: 'header', query: {} }

test('an answer is kept by nobody but who asked for it', async () => {
  const { session } = await opened()
  const answers: WeakRef<object>[] = []
  for (let count = 0; count < 20; count++)
    answers.push(new WeakRef((await session.ask(look)) as object))
  await session.ask(look)
  collect()
  expect(answers.slice(0, 10).filter((answer) => answer.deref() !== undefined)).toEqual([])
})

test('the end of the connection answers every question, and later ones', async () => {
  const { session, far, told } = await opened()
  told.isSilent = true
  const asked = [session.ask(look), session.ask(look)]
  await once(far.socket as Socket, 'data')
  far.socket?.destroy()
  for (const answer of asked) await expect(answer).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(session.ask(look)).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(session.ended).rejects.toMatchObject({ code: 'CLOSED' })
})
