/** The services of `examples` and of `keelson init`, as three members of one folder: whichever answers, it knows every order. */
import { once } from 'node:events'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { fakeBank } from '../examples/orders/fake-bank.ts'
import {
  type RunningCommand,
  runKeelson,
  startKeelson,
} from './support/commands/keelson-command.ts'
import { folderInside } from './support/doc-examples.ts'
import { noFlock } from './support/harm/folder-locks.ts'
import { lacks } from './support/lacks.ts'
import { freePorts } from './support/worlds/free-ports.ts'

const ids = Array.from({ length: 12 }, (_, at) => `order-${at}`)

/** What one member answers. Each request has a connection of its own, so that the members take turns. */
const ask = async (port: number, method: string, path: string, body?: unknown) => {
  const sent = request({ port, host: '127.0.0.1', agent: false, method, path })
  sent.end(body === undefined ? '' : JSON.stringify(body))
  const [response] = await once(sent, 'response')
  let text = ''
  for await (const part of response) text += part
  return { status: response.statusCode as number, body: JSON.parse(text) }
}

const statusesOf = async (port: number, of: readonly string[]): Promise<readonly number[]> => {
  const answers = await Promise.all(of.map((id) => ask(port, 'GET', `/orders/${id}`)))
  return answers.map(({ status }) => status)
}

const eachIs = (status: number): number[] => ids.map(() => status)

const endsInOrder = async (service: RunningCommand): Promise<void> => {
  service.process.kill('SIGTERM')
  expect((await service.ended).status).toBe(0)
}

test.skipIf(lacks(noFlock)).each(['--js', '--ts'])(
  'the service that keelson init writes with %s answers for every order at each of three members',
  async (language) => {
    const dir = resolve(folderInside(), 'shop')
    expect((await runKeelson(['init', 'shop', '--http', language], dirname(dir))).status).toBe(0)
    const config = join(dir, `keelson.config.${language === '--ts' ? 'ts' : 'mjs'}`)
    // As docs/members.md says, with fewer shards.
    writeFileSync(config, readFileSync(config, 'utf8').replace('shards: 1,', 'shards: 8,'))
    const modules = join(dir, 'node_modules')
    mkdirSync(modules)
    symlinkSync(resolve('.'), join(modules, 'keelson'))
    symlinkSync(resolve('node_modules/jiti'), join(modules, 'jiti'))
    const service = startKeelson(['run', '--members', '3'], dir, { PORT: '0' }, 'ignore')
    await service.says('ready: ')
    const port = Number(/listening at http:\/\/[^:]+:(\d+)/.exec(service.printed())?.[1])
    const placed = await Promise.all(
      ids.map((id) => ask(port, 'POST', `/orders/${id}`, { item: 'tea', count: 1 })),
    )
    expect(placed.map(({ status }) => status)).toEqual(eachIs(201))

    expect(await statusesOf(port, ids)).toEqual(eachIs(200))
    expect(await statusesOf(port, ['nobody'])).toEqual([404])
    await endsInOrder(service)
  },
)

test.skipIf(lacks(noFlock))(
  'the orders of examples/orders are charged once, and each of three members answers for all of them',
  async () => {
    const bank = fakeBank({ failing: 0 })
    const areCharged = new Promise<void>((resolve) => {
      let answered = 0
      bank.server.on('request', (_, response) =>
        response.on('finish', () => ++answered === ids.length && resolve()),
      )
    })
    await once(bank.server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void bank.server.close())
    const [port = 0] = await freePorts(1)
    const variables = {
      BANK_URL: `http://127.0.0.1:${(bank.server.address() as AddressInfo).port}`,
      PORT: String(port),
    }
    const words = ['run', resolve('examples/orders/keelson.config.ts'), '--dir', 'data']
    const service = startKeelson([...words, '--members', '3'], folderInside(), variables, 'ignore')
    await service.says('ready: ')
    const placed = await Promise.all(
      ids.map((id) => ask(port, 'POST', `/orders/${id}`, { cents: 100 })),
    )
    expect(placed.map(({ status }) => status)).toEqual(eachIs(201))

    expect(await statusesOf(port, ids)).toEqual(eachIs(200))
    const { status, body } = await ask(port, 'GET', '/orders')
    expect([status, body.entries?.length]).toEqual([200, ids.length])
    await areCharged
    await endsInOrder(service)
    const asked = [...bank.ledger.values()].map(({ isTaken, asked }) => [isTaken, asked])
    expect(asked).toEqual(ids.map(() => [true, 1]))
  },
)
