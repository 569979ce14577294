/** How a service with durable actors is tested: on virtual time, with a bank that fails. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { call, type Name, name, start, supervisor, worker } from 'keelson'
import { startSimulated } from 'keelson/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Bank, httpBank } from './bank.ts'
import { fakeBank } from './fake-bank.ts'
import { http } from './http.ts'
import { orderKind } from './order.ts'

const minutes = 60_000

/** A bank that can be away, and what it was asked. */
const testBank = () => {
  const asked: string[] = []
  const bank: Bank & { isAway: boolean; readonly asked: string[] } = {
    isAway: false,
    asked,
    charge: async (key) => {
      asked.push(`charge ${key}`)
      if (bank.isAway) throw new Error('the bank is away')
    },
    release: async (key) => {
      asked.push(`release ${key}`)
      if (bank.isAway) throw new Error('the bank is away')
    },
  }
  return bank
}

const shop = async (payWithinMs: number) => {
  const bank = testBank()
  const orders = orderKind(bank, payWithinMs)
  const simulation = await startSimulated({ app: supervisor('app', {}, [orders]) })
  onTestFinished(() => simulation.close())
  /** The handle of the instance that runs now. */
  const handle = () => simulation.app.entity(orders)
  const place = (id: string, key: string) =>
    simulation.during(call(handle().ref(id), 'place', { cents: 995 }, { id: key }))
  return { bank, simulation, handle, place }
}

describe('an order', () => {
  test('is paid, and a repeated request is answered as the first one was', async () => {
    const { bank, handle, place, simulation } = await shop(15 * minutes)
    expect(await place('7', 'request-1')).toBe('placed')
    expect(await place('7', 'request-1')).toBe('placed')
    expect(await place('7', 'request-2')).toBe('exists')
    await simulation.advance(100)
    expect(handle().state('7')).toMatchObject({ cents: 995, status: 'paid' })
    expect(bank.asked).toHaveLength(1)
  })

  test('can be read while the bank is away for an hour, and is paid under one key then', async () => {
    const { bank, handle, place, simulation } = await shop(120 * minutes)
    bank.isAway = true
    await place('7', 'request-1')
    await simulation.advance(60 * minutes)
    expect(handle().list({ where: { status: 'placed' } }).entries).toHaveLength(1)
    expect(await place('7', 'request-2')).toBe('exists')
    bank.isAway = false
    await simulation.advance(minutes)
    expect(handle().state('7')?.status).toBe('paid')
    expect(bank.asked.length).toBeGreaterThan(60)
    expect(new Set(bank.asked).size).toBe(1)
  })

  test('that is not paid in time is cancelled, and the bank releases what it may have taken', async () => {
    const { bank, handle, place, simulation } = await shop(15 * minutes)
    bank.isAway = true
    await place('7', 'request-1')
    await simulation.advance(15 * minutes - 1_000)
    expect(handle().state('7')?.status).toBe('placed')
    await simulation.advance(2_000)
    expect(handle().state('7')?.status).toBe('cancelled')
    bank.isAway = false
    bank.asked.length = 0
    await simulation.advance(minutes)
    expect(bank.asked).toEqual([`release ${handle().state('7')?.charge}`])
  })

  test('goes on after a power cut: its charge is repeated under the same key, its alarm fires', async () => {
    const { bank, handle, place, simulation } = await shop(15 * minutes)
    bank.isAway = true
    await place('7', 'request-1')
    await place('8', 'request-2')
    await simulation.powerCut()
    await simulation.start()
    expect(handle().state('7')?.status).toBe('placed')
    expect(await simulation.during(call(handle().ref('8'), 'cancel'))).toBe('cancelled')
    expect(await place('7', 'request-1')).toBe('placed')
    await simulation.advance(16 * minutes)
    expect(await handle().counts('status')).toEqual(new Map([['cancelled', 2]]))
    const charges = bank.asked.filter((line) => line.startsWith('charge order/7/'))
    expect(charges.length).toBeGreaterThan(10)
    expect(new Set(charges)).toEqual(new Set([`charge ${handle().state('7')?.charge}`]))
  })
})

test('the HTTP server places, shows, lists and cancels orders, and refuses what is wrong', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-orders-'))
  const bank = fakeBank({ failing: 0, slowMs: 0 })
  await once(bank.server.listen(0, '127.0.0.1'), 'listening')
  const { port: bankPort } = bank.server.address() as { port: number }
  const orders = orderKind(httpBank(`http://127.0.0.1:${bankPort}`), 15 * minutes)
  const tree = supervisor('app', {}, [orders, worker('http', http, { arg: { orders, port: 0 } })])
  const app = await start({ dir, app: tree })
  onTestFinished(async () => {
    await app.close()
    bank.server.close()
    rmSync(dir, { recursive: true })
  })
  const port = await call(
    app.system.to(name('http') as Name<{ calls: { port: () => number } }>),
    'port',
  )
  const ask = async (method: string, path: string, body?: unknown, key?: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { connection: 'close', ...(key && { 'idempotency-key': key }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return [response.status, await response.json()]
  }

  const placed = [201, { id: '7', outcome: 'placed' }]
  expect(await ask('POST', '/orders/7', { cents: 995 }, 'a')).toEqual(placed)
  expect(await ask('POST', '/orders/7', { cents: 995 }, 'a')).toEqual(placed)
  expect(await ask('POST', '/orders/7', { cents: 1 }, 'a')).toMatchObject([
    409,
    { code: 'CONFLICT' },
  ])
  // The cancelling waits for the charge, which began first.
  expect(await ask('DELETE', '/orders/7')).toEqual([200, { id: '7', status: 'paid' }])
  expect(await ask('GET', '/orders/7')).toMatchObject([200, { cents: 995, status: 'paid' }])
  expect(await ask('GET', '/orders?status=paid')).toMatchObject([200, { entries: [{ id: '7' }] }])
  expect(await ask('GET', '/orders/8')).toEqual([404, { error: 'no order 8' }])
  expect(await ask('POST', '/orders/8', { cents: -1 })).toMatchObject([400, {}])
  expect(await ask('GET', '/orders/%7B')).toMatchObject([400, { code: 'INVALID_ARGUMENT' }])
  expect([...bank.ledger.values()]).toEqual([
    { cents: 995, isTaken: true, isReleased: false, asked: 1 },
  ])
})
