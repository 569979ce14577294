// What a member of a service of tests answers: lines of JSON on a socket of its own.
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Answers lines with what `serve(app)` says, on the socket of the member in the folder SOCKETS. */
export const deskOf = (serve, member) => ({
  init: async (_, context) => {
    context.trapExit(true)
    const [answers, underWay, sockets] = [serve(context.app), new Set(), new Set()]
    const answer = async ({ number, what, words }) => {
      try {
        return { number, value: await answers[what](words) }
      } catch (error) {
        return { number, code: error.code ?? String(error), message: error.message }
      }
    }
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => sockets.delete(socket))
      socket.write(`${JSON.stringify({ pid: process.pid })}\n`)
      const lines = createInterface({ input: socket })
      lines.on('error', () => undefined)
      lines.on('line', (line) => {
        const answered = answer(JSON.parse(line)).then((found) => {
          underWay.delete(answered)
          socket.write(`${JSON.stringify(found)}\n`)
        })
        underWay.add(answered)
      })
    })
    const path = join(process.env.SOCKETS ?? '', `${member}.sock`)
    rmSync(path, { force: true })
    await new Promise((resolve) => server.listen({ path, exclusive: true }, resolve))
    return { server, underWay, sockets }
  },
  // Takes nothing more, and answers what it has taken.
  terminate: async ({ server, underWay, sockets }) => {
    server.close()
    for (const socket of sockets) socket.pause()
    await Promise.all(underWay)
    for (const socket of sockets) socket.end()
  },
})
