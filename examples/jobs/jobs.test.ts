/** The queue on virtual time, with a maker that fails; and its server with the real one. */
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { start } from 'keelson'
import { flow } from 'keelson/flow'
import { startSimulated } from 'keelson/testing'
import { expect, onTestFinished, test } from 'vitest'
import { tempFolder } from '../../test/support/temp-folder.ts'
import { add, look, type Make, serverOf, thumbnailQueue, treeOf } from './jobs.ts'

const picture = { customer: 'ada', name: 'cat.jpg' }

const open = async (make: Make) => {
  const thumbnails = thumbnailQueue(make)
  const simulation = await startSimulated({ app: treeOf(thumbnails) })
  onTestFinished(() => simulation.close())
  const added = (each = picture) => simulation.during(add(simulation.app, thumbnails, each))
  const seen = async () => {
    const { counts, dead } = await simulation.during(look(simulation.app, thumbnails))
    return [counts.ready + counts.running + counts.delayed, dead.map(({ error }) => error.message)]
  }
  return { thumbnails, simulation, added, seen }
}

const listening = async (server: Server) => {
  server.listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { at: (path: string) => `http://127.0.0.1:${port}${path}` }
}

test('a job that the power cuts off runs again under its key', async () => {
  const keys: string[] = []
  const { simulation, added, seen } = await open(async (_, key) => {
    keys.push(key)
    if (keys.length === 1) simulation.disk.halt()
    return 'made'
  })
  await added()
  await simulation.advance(100)
  await simulation.powerCut()
  await simulation.start()
  await simulation.advance(1_000)

  expect(keys).toEqual([keys[0], keys[0]])
  expect(await seen()).toEqual([0, []])
})

test('a job that fails three times is dead, and a retry at the server makes it', async () => {
  let isBroken = true
  const { thumbnails, simulation, added, seen } = await open(async ({ name }) => {
    if (isBroken) throw new Error(`${name} is no picture`)
    return `${name}.png`
  })
  const { id } = await added()
  expect(await added()).toEqual({ id, repeated: true })
  await simulation.advance(60_000)
  expect(await seen()).toEqual([0, ['cat.jpg is no picture']])

  isBroken = false
  const { at } = await listening(serverOf(simulation.app, thumbnails, 'the page'))
  const retry = fetch(at(`/jobs/${id}/retry`), { method: 'POST' })
  expect(await (await simulation.during(retry)).json()).toEqual({ id })
  const job = flow(simulation.app).job(thumbnails, id)
  expect(await simulation.during(job.result())).toBe('cat.jpg.png')
})

test('a customer has two jobs at a time, and delays no other one', async () => {
  const running: string[] = []
  const { simulation, added } = await open(({ name }) => {
    running.push(name)
    return new Promise(() => {})
  })
  for (const name of ['a1', 'a2', 'a3', 'a4']) await added({ customer: 'ada', name })
  await added({ customer: 'bob', name: 'b1' })
  await simulation.advance(1_000)
  expect(running).toEqual(['a1', 'a2', 'b1'])
})

test('the server takes a job once, shows it, and serves the dashboard', {
  tags: ['slow'],
}, async () => {
  const thumbnails = thumbnailQueue(async ({ name }) => `${name}.png`)
  const app = await start({ dir: tempFolder(), app: treeOf(thumbnails) })
  onTestFinished(async () => void (await app.close()))
  const { at } = await listening(serverOf(app, thumbnails, 'the page'))
  const options = { method: 'POST', body: JSON.stringify(picture) }

  const { id } = (await (await fetch(at('/jobs'), options)).json()) as { id: string }
  await flow(app).job(thumbnails, id).result()
  expect(await (await fetch(at(`/jobs/${id}`))).json()).toMatchObject({ state: 'done' })
  expect(await (await fetch(at('/jobs'))).json()).toMatchObject({ counts: { ready: 0 }, dead: [] })
  expect(await (await fetch(at('/'))).text()).toBe('the page')
  expect(await (await fetch(at('/jobs'), options)).json()).toEqual({ id, repeated: true })
  expect((await fetch(at('/other'))).status).toBe(404)
  expect((await fetch(at('/jobs'), { method: 'POST', body: '{' })).status).toBe(400)
})
