/** The proof of the servers of a stream waits for those that keep it, and for no other one. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { ServerProof } from '../../../src/adapters/nats/server-proof.ts'
import { virtualClock } from '../../../src/testing/index.ts'

/** The monitoring address of a server; without a status it never answers, as behind lost packets. */
const monitor = async (status?: object): Promise<string> => {
  const http = createServer((_, answer) => {
    if (status) answer.end(JSON.stringify(status))
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    http.closeAllConnections()
    http.close()
  })
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`
}

const statusOf = (name: string, isSynced = true) => ({
  ...{ server_name: name, version: '2.12.1' },
  jetstream: { config: { sync_always: isSynced } },
})

/** The proof of a stream at n1, n2 and n3, of which n3 is away. */
const proofWith = (monitors: readonly string[]): ServerProof => {
  const replicas = [{ name: 'n2' }, { name: 'n3', offline: true }]
  const info = { config: { num_replicas: 3 }, cluster: { leader: 'n1', replicas } }
  const server = { name: 'n1', maxBytes: 1 }
  const link = { connections: 1, raised: async () => info, server: async () => server } as never
  return new ServerProof(link, virtualClock(), { durability: 'synced', monitors, replicas: 3 })
}

test('a server that is away, and whose packets get lost, holds up no write', async () => {
  const monitors = [await monitor(), await monitor(statusOf('n1')), await monitor(statusOf('n2'))]
  const began = performance.now()
  await proofWith(monitors).prove('s')
  expect(performance.now() - began).toBeLessThan(2_000)
})

test('every server that may acknowledge is waited for, and one that does not sync is refused', async () => {
  const monitors = [await monitor(statusOf('n1')), await monitor(statusOf('n2', false))]
  await expect(proofWith(monitors).prove('s')).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining('n2 does not sync'),
  })
})

test('a stream without the status of one of its servers is not proven yet', async () => {
  const monitors = [await monitor(statusOf('n1')), 'http://127.0.0.1:1']
  await expect(proofWith(monitors).prove('s')).rejects.toMatchObject({ code: 'UNKNOWN_OUTCOME' })
})
