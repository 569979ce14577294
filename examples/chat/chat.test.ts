/** The chat: guests on virtual time, over power cuts and dead processes; and its server. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { call, start, startDynamicChild } from 'keelson'
import { startSimulated } from 'keelson/testing'
import { expect, onTestFinished, test } from 'vitest'
import { tempFolder } from '../../test/support/temp-folder.ts'
import { guestOf, guests, type Line, presence, rooms, tree } from './chat.ts'
import { serverOf } from './http.ts'

const open = async () => {
  const simulation = await startSimulated({ app: tree })
  onTestFinished(() => simulation.close())
  /** A browser in the lobby: its lines, who it saw present last, and whether its stream is open. */
  const enter = async (name: string, last = 0) => {
    const seen = { lines: [] as string[], present: [] as string[], isOpen: true }
    const response = {
      write: (text: string) => {
        const value = JSON.parse(text.slice(text.indexOf('data: ') + 6))
        if (text.startsWith('event: present')) seen.present = value
        else seen.lines.push((value as Line).text)
        return true
      },
      end: () => void Object.assign(seen, { isOpen: false }),
    }
    const guest = guestOf({ room: 'lobby', name, last, response: response as never })
    const { ref } = await simulation.during(
      startDynamicChild(simulation.app.system.to(guests), guest),
    )
    const leave = () => ref && simulation.app.system.kill(ref)
    return { seen, leave }
  }
  const say = (text: string, id: string) => {
    const lobby = simulation.app.entity(rooms).ref('lobby')
    return simulation.during(call(lobby, 'say', { from: 'Ada', text }, { id }))
  }
  return { simulation, enter, say }
}

test('a line is there after a power cut, and a browser gets those that it missed', async () => {
  const { simulation, enter, say } = await open()
  const { seen } = await enter('Bob')
  await say('hello', 'a')
  await say('who is there?', 'b')
  await simulation.advance(1)
  expect(seen.lines).toEqual(['hello', 'who is there?'])

  await simulation.powerCut()
  await simulation.start()
  expect(await say('who is there?', 'b')).toBe(2)
  const back = await enter('Bob', 1)
  await say('nobody', 'c')
  await simulation.advance(1)
  expect(back.seen.lines).toEqual(['who is there?', 'nobody'])
})

test('who leaves is seen to leave, however it ends', async () => {
  const { simulation, enter } = await open()
  const [ada, bob] = [await enter('Ada'), await enter('Bob')]
  await simulation.advance(1)
  expect(ada.seen.present).toEqual(['Ada', 'Bob'])

  bob.leave()
  await simulation.advance(1)
  expect([ada.seen.present, bob.seen.isOpen]).toEqual([['Ada'], false])
})

test('if presence dies every stream ends, so that every browser comes back to the new one', async () => {
  const { simulation, enter } = await open()
  const { seen } = await enter('Ada')
  simulation.app.system.kill(simulation.app.system.to(presence))
  await simulation.advance(100)
  expect(seen.isOpen).toBe(false)
  const back = await enter('Ada')
  await simulation.advance(1)
  expect(back.seen.present).toEqual(['Ada'])
})

test('the server takes a line once, and streams it to who comes later', {
  tags: ['slow'],
}, async () => {
  const app = await start({ dir: tempFolder(), app: tree })
  const server = serverOf(app, 'the page').listen(0, '127.0.0.1')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await app.close()
  })
  await once(server, 'listening')
  const at = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
  const said = { method: 'POST', body: JSON.stringify({ id: 'a', from: 'Ada', text: 'hello' }) }
  const say = async () => (await fetch(at('/rooms/lobby'), said)).text()
  expect([await say(), await say()]).toEqual(['1\n', '1\n'])

  const stream = await fetch(at('/rooms/lobby?name=Bob'))
  let text = ''
  for await (const chunk of stream.body ?? []) {
    text += Buffer.from(chunk).toString()
    if (text.includes('present')) break
  }
  expect(text).toContain('data: {"number":1,"from":"Ada","text":"hello"}')
  expect(text).toContain('data: ["Bob"]')
  expect((await fetch(at('/other'))).status).toBe(404)
})
