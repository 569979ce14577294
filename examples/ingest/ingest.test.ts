/** The plant on virtual time: alarms over power cuts, each of which calls once; and its server. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { call, start } from 'keelson'
import { startSimulated } from 'keelson/testing'
import { expect, onTestFinished, test } from 'vitest'
import { tempFolder } from '../../test/support/temp-folder.ts'
import { keptReadings, plantOf, serverOf } from './ingest.ts'

const minute = 60_000

const open = async () => {
  const called = new Map<string, string>()
  const phone = { isBusy: false }
  const { devices, tree } = plantOf(async ({ device, status }, key) => {
    if (phone.isBusy) throw new Error('busy')
    called.set(key, `${device} ${status}`)
  }, minute)
  const simulation = await startSimulated({ app: tree })
  onTestFinished(() => simulation.close())
  const read = (celsius: number) =>
    simulation.during(call(simulation.app.entity(devices).ref('boiler'), 'read', { celsius }))
  const restart = async () => {
    await simulation.powerCut()
    await simulation.start()
  }
  return { simulation, devices, phone, read, restart, calls: () => [...called.values()] }
}

test('a hot device calls once, and once more when it is well again', async () => {
  const { simulation, read, calls } = await open()
  for (const celsius of [70, 81, 90, 78, 79, 81, 74, 60]) await read(celsius)
  await simulation.advance(1_000)
  expect(calls()).toEqual(['boiler hot', 'boiler ok'])
})

test('the last hundred readings are kept, also those of one millisecond', async () => {
  const { simulation, devices, read } = await open()
  for (let celsius = 0; celsius < 3; celsius++) await read(celsius)
  const rows = simulation.app.entity(devices).rows('boiler')
  const kept = (reverse = false) => {
    const [row] = rows.range({ reverse, limit: 1 }).entries
    return (row?.[1] as { celsius: number } | undefined)?.celsius
  }
  expect([kept(), kept(true)]).toEqual([0, 2])
  for (let celsius = 3; celsius < keptReadings + 2; celsius++) await read(celsius)
  expect([kept(), kept(true)]).toEqual([2, keptReadings + 1])
})

test('the call of an answered reading comes after a power cut, and when the phone is free', async () => {
  const { simulation, phone, read, restart, calls } = await open()
  phone.isBusy = true
  expect(await read(95)).toBe('hot')
  await restart()
  await simulation.advance(10_000)
  expect(calls()).toEqual([])

  phone.isBusy = false
  await simulation.advance(minute / 2)
  expect(calls()).toEqual(['boiler hot'])
})

test('a device that fell silent while the program was down is noticed at its start', async () => {
  const { simulation, devices, read, restart, calls } = await open()
  await read(60)
  await simulation.advance(minute - 1)
  expect(calls()).toEqual([])
  await restart()
  await simulation.advance(1_000)
  expect(calls()).toEqual(['boiler silent'])
  const { entries } = simulation.app.entity(devices).list({ where: { status: 'silent' } })
  expect(entries.map(({ id }) => id)).toEqual(['boiler'])
})

test('the server counts a reading with an id once, and refuses what is no number', {
  tags: ['slow'],
}, async () => {
  const { devices, tree } = plantOf(async () => {}, minute)
  const app = await start({ dir: tempFolder(), app: tree })
  const server = serverOf(app, devices).listen(0, '127.0.0.1')
  onTestFinished(async () => {
    server.close()
    await app.close()
  })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const ask = async (path: string, body?: unknown) => {
    const options = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
    const response = await fetch(`http://127.0.0.1:${port}${path}`, options)
    return [response.status, (await response.text()).trim()]
  }

  for (let time = 0; time < 2; time++)
    expect(await ask('/devices/boiler', { id: 'a', celsius: 90 })).toEqual([200, '"hot"'])
  expect(await ask('/devices/boiler')).toEqual([200, '{"status":"hot","celsius":90,"count":1}'])
  expect(await ask('/devices')).toEqual([200, '{"hot":1}'])
  expect(await ask('/devices/boiler', { celsius: 'hot' })).toEqual([400, 'celsius is a number'])
})
