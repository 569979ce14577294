/** How a service with a workflow is tested: on virtual time, with a bank that fails. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { call, type Name, name, start, supervisor, worker } from 'keelson'
import { flow, flows } from 'keelson/flow'
import { startSimulated } from 'keelson/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Bank, httpBank } from './bank.ts'
import { fakeBank } from './fake-bank.ts'
import { http } from './http.ts'
import { orderWorkflow } from './order.ts'

const minutes = 60_000
const order = { cents: 995 }

/** A bank that can be away, and what it was asked. */
const testBank = () => {
  const asked: string[] = []
  const hear = async (what: string, key: string): Promise<void> => {
    asked.push(`${what} ${key.split('/')[2]}`)
    keys.add(key)
    if (bank.isAway) throw new Error('the bank is away')
  }
  const keys = new Set<string>()
  const bank: Bank & { isAway: boolean } = {
    isAway: false,
    charge: (key) => hear('charge', key),
    release: (key) => hear('release', key),
  }
  return { bank, asked, keys }
}

const shop = async (payWithinMs: number) => {
  const { bank, asked, keys } = testBank()
  const orders = orderWorkflow(bank, payWithinMs)
  const app = supervisor('app', {}, [flows({ workflows: [orders] })])
  const simulation = await startSimulated({ app })
  onTestFinished(() => simulation.close())
  /** The workflows of the instance that runs now. */
  const runs = () => flow(simulation.app)
  const place = (id: string) => simulation.during(runs().start(orders, order, { id }))
  return { bank, asked, keys, orders, simulation, runs, place }
}

describe('an order', () => {
  test('is paid once, and a repeated request finds it', async () => {
    const { asked, orders, place, simulation } = await shop(15 * minutes)
    expect((await place('7')).repeated).toBe(false)
    expect((await place('7')).repeated).toBe(true)
    const paid = await simulation.run(orders, order, { id: '7' })
    expect(paid.status).toBe('completed')
    expect(asked).toEqual(['charge 7'])
  })

  test('can be read while the bank is away for an hour, and is paid under one key then', {
    tags: ['slow'],
  }, async () => {
    const { bank, asked, keys, orders, place, runs, simulation } = await shop(120 * minutes)
    bank.isAway = true
    await place('7')
    await simulation.advance(60 * minutes)
    expect(runs().get(orders, '7')?.status).not.toBe('completed')
    bank.isAway = false
    await simulation.advance(minutes)
    expect(runs().get(orders, '7')?.status).toBe('completed')
    expect(asked.length).toBeGreaterThan(60)
    expect(keys.size).toBe(1)
  })

  test('that is not paid in time is cancelled, and the bank releases what it may have taken', async () => {
    const { bank, asked, keys, orders, place, simulation } = await shop(15 * minutes)
    bank.isAway = true
    await place('7')
    await simulation.advance(15 * minutes + 1_000)
    bank.isAway = false
    const { status } = await simulation.run(orders, order, { id: '7' })
    expect(status).toBe('cancelled')
    expect(asked.at(-1)).toBe('release 7')
    expect(keys.size).toBe(1)
  })

  test.each([
    ['is paid', 'completed', ['charge 7']],
    ['is cancelled', 'cancelled', ['charge 7', 'release 7']],
  ] as const)(
    '%s over power cuts, whose charge is repeated under its key',
    async (_, end, asked) => {
      const s = await shop(15 * minutes)
      const { orders, simulation } = s
      s.bank.isAway = true
      await s.place('7')
      await simulation.advance(5 * minutes)
      await simulation.powerCut()
      await simulation.start()
      if (end === 'cancelled') await simulation.during(s.runs().handle(orders, '7').cancel())
      s.bank.isAway = false
      const ran = await simulation.run(orders, order, { id: '7', crashAfter: () => true })
      expect(ran.status).toBe(end)
      expect([...new Set(s.asked)]).toEqual(asked)
      expect(s.keys.size).toBe(1)
    },
  )
})

test('the HTTP server places, shows, lists and cancels orders, and refuses what is wrong', {
  tags: ['slow'],
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-orders-'))
  const bank = fakeBank({ failing: 0, slowMs: 0 })
  await once(bank.server.listen(0, '127.0.0.1'), 'listening')
  const { port: bankPort } = bank.server.address() as { port: number }
  const orders = orderWorkflow(httpBank(`http://127.0.0.1:${bankPort}`), 15 * minutes)
  const tree = supervisor('app', {}, [
    flows({ workflows: [orders] }),
    worker('http', http, { arg: { orders, port: 0 } }),
  ])
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
  const ask = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { connection: 'close' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return [response.status, await response.json()]
  }

  expect(await ask('POST', '/orders/7', order)).toEqual([201, { id: '7' }])
  expect(await ask('POST', '/orders/7', order)).toEqual([201, { id: '7' }])
  expect(await ask('POST', '/orders/7', { cents: 1 })).toMatchObject([409, { code: 'CONFLICT' }])
  await flow(app).handle(orders, '7').result()
  expect(await ask('DELETE', '/orders/7')).toMatchObject([200, { accepted: false }])
  expect(await ask('GET', '/orders/7')).toMatchObject([200, { status: 'completed' }])
  expect(await ask('GET', '/orders?status=completed')).toMatchObject([
    200,
    { entries: [{ id: '7' }] },
  ])
  expect(await ask('GET', '/orders/8')).toEqual([404, { error: 'no order 8' }])
  expect(await ask('POST', '/orders/8', { cents: -1 })).toMatchObject([400, {}])
  expect(await ask('GET', '/orders/%7B')).toMatchObject([400, { code: 'INVALID_ARGUMENT' }])
  expect([...bank.ledger.values()]).toEqual([
    { cents: 995, isTaken: true, isReleased: false, asked: 1 },
  ])
})
