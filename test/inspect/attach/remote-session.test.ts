/** A session over a socket, with an instance that answers and leaves. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'
import { lineOf, MessageReader, protocol } from '../../../src/inspect/attach/attach-protocol.ts'
import { RemoteSession } from '../../../src/inspect/attach/remote-session.ts'
import { tempFolder } from '../../support/temp-folder.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** A session, and its other side, which answers looks until it is told to stop. */
const opened = async () => {
  const dir = tempFolder()
  const far = { answers: true, socket: undefined as Socket | undefined }
  const server = createServer((socket) => {
    far.socket = socket
    socket.write(lineOf({ protocol, version: '1.0.0', dir, pid: 1 } as never))
    const reader = new MessageReader(1_000_000)
    socket.on('data', (bytes: Buffer) => {
      for (const message of reader.read(bytes))
        if ('id' in message && far.answers)
          socket.write(lineOf({ id: message.id, answer: { rows: 'x'.repeat(1_000) } } as never))
    })
  })
  server.listen(join(dir, 'attach.sock'))
  await once(server, 'listening')
  const { session } = await RemoteSession.open({ dir }, { colours: false, verbose: false })
  onTestFinished(() => {
    session.close()
    server.close()
  })
  return { session, far }
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
  const { session, far } = await opened()
  far.answers = false
  const asked = [session.ask(look), session.ask(look)]
  await once(far.socket as Socket, 'data')
  far.socket?.destroy()
  for (const answer of asked) await expect(answer).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(session.ask(look)).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(session.ended).rejects.toMatchObject({ code: 'CLOSED' })
})
