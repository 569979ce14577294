/** An instance as a prompt or a page meets it: a socket in a folder that greets, and answers as a test says. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { lineOf, MessageReader, protocol } from '../../../src/inspect/attach/attach-protocol.ts'
import { tempFolder } from '../temp-folder.ts'

/** `onAsked` gets each request as a function that answers it. */
export const farInstance = async (onAsked: (answer: (answer: object) => void) => void) => {
  const dir = tempFolder()
  const far = { dir, socket: undefined as Socket | undefined }
  const server = createServer((socket) => {
    far.socket = socket
    const say = (message: object): void => void socket.write(lineOf(message as never))
    say({ protocol, version: '1.0.0', dir, pid: 1 })
    const reader = new MessageReader(1_000_000)
    socket.on('data', (bytes: Buffer) => {
      for (const { id } of reader.read(bytes))
        if (typeof id === 'number') onAsked((answer) => say({ id, answer }))
    })
  })
  server.listen(join(dir, 'attach.sock'))
  await once(server, 'listening')
  onTestFinished(() => {
    far.socket?.destroy()
    server.close()
  })
  return far
}
